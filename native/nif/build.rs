//! Linker flags of the NIF library.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The library starts threads, installs signal handlers and has thread-local destructors, all of
    // which would run unmapped code if the VM unloaded it (on purge of the NIF module).
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
