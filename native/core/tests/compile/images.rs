use hmac::{Hmac, Mac};
use sha2::Sha256;
use wasmbeam_core::compile::Form;
use wasmbeam_core::image::{self, Key, KeySource, Purpose};
use wasmbeam_core::{Engine, EngineConfig, Error, GuestStack, Module, Opt};

use crate::support::{compile, key, module, other_key, request};

/// With the position of one brief export.
const HEADER: usize = 80;
const SEAL: usize = 32;

fn compiled(config: EngineConfig) -> Module {
    let engine = Engine::get(config).unwrap();
    Module::compile(&engine, &module("imaged")).unwrap()
}

fn image_of(module: &Module) -> Vec<u8> {
    image::seal(module, &key().key().unwrap(), Purpose::Image).unwrap()
}

fn image() -> Vec<u8> {
    image_of(&compiled(EngineConfig::default()))
}

fn open(image: &[u8]) -> wasmbeam_core::Result<Module> {
    image::open(image, &key().key().unwrap(), Purpose::Image)
}

fn refusal(image: &[u8], key: &Key) -> String {
    match image::open(image, key, Purpose::Image) {
        Err(Error::BadImage { message }) => message,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("opened"),
    }
}

fn bad(image: &[u8]) -> String {
    refusal(image, &key().key().unwrap())
}

/// As whoever has the key could do it.
fn sealed_again(mut image: Vec<u8>) -> Vec<u8> {
    let mac = |key: &[u8], bytes: &[u8]| {
        let mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.chain_update(bytes).finalize().into_bytes()
    };
    image.truncate(image.len() - SEAL);
    let seal = mac(&mac(&[7; 32], b"wasmbeam image"), &image);
    image.extend_from_slice(&seal);
    image
}

#[test]
fn an_image_is_the_module_that_it_was_made_of() {
    for (fuel, deterministic, opt, stack) in [
        (false, false, Opt::None, GuestStack::MIN),
        (true, false, Opt::Speed, GuestStack::MAX),
        (false, true, Opt::SpeedAndSize, 1 << 20),
    ] {
        let module = compiled(EngineConfig {
            fuel,
            deterministic,
            opt,
            stack: GuestStack::of(stack).expect("a size"),
        });
        let opened = open(&image_of(&module)).expect("an image");
        assert_eq!(opened.id(), module.id());
        assert_eq!(opened.size(), module.size());
        assert_eq!(opened.engine().config(), module.engine().config());
        assert_eq!(opened.exports().len(), 1);
        assert_eq!(opened.exports()[0].name, "imaged");
        assert!(opened.exports()[0].is_brief);
        // An image of that is the same one.
        assert_eq!(image_of(&opened), image_of(&module));
    }
}

#[test]
fn an_image_that_is_altered_anywhere_is_refused() {
    let image = image();
    let end = image.len() - SEAL;
    let places = (0..HEADER + 256)
        .chain((HEADER + 256..end).step_by(509))
        .chain(end - 256..image.len());
    for place in places {
        let mut altered = image.clone();
        altered[place] ^= 1 << (place % 8);
        let message = bad(&altered);
        if place >= 8 {
            assert!(
                message.contains("the seal does not match"),
                "{place}: {message}"
            );
        }
    }
}

#[test]
fn an_image_that_is_cut_or_extended_is_refused() {
    let image = image();
    for length in (0..HEADER + SEAL + 10).chain((HEADER..image.len()).step_by(1021)) {
        bad(&image[..length]);
    }
    bad(&image[..image.len() - 1]);
    bad(&image[1..]);
    for more in [0, 1, 255] {
        let mut longer = image.clone();
        longer.push(more);
        bad(&longer);
    }
    // The seal of one on another.
    let other = image_of(&compiled(EngineConfig {
        fuel: true,
        ..EngineConfig::default()
    }));
    let mut mixed = other.clone();
    let end = mixed.len() - SEAL;
    mixed[end..].copy_from_slice(&image[image.len() - SEAL..]);
    bad(&mixed);
}

#[test]
fn another_key_or_purpose_does_not_open_an_image() {
    let image = image();
    let other = other_key().key().unwrap();
    assert!(refusal(&image, &other).contains("sealed with another key"));
    let opened = image::open(&image, &key().key().unwrap(), Purpose::Cache);
    assert!(matches!(opened, Err(Error::BadImage { .. })));
}

#[test]
fn what_is_no_image_is_refused() {
    for bytes in [
        b"".as_slice(),
        b"\0asm\x01\0\0\0",
        b"\x7fELF",
        b"\0wbimage",
        &[0; 1000],
        &[255; 1000],
    ] {
        assert_eq!(bad(bytes), "not a precompiled image");
    }
}

#[test]
fn a_sealed_image_of_another_version_or_machine_is_refused() {
    let image = image();
    assert!(open(&sealed_again(image.clone())).is_ok());
    let with = |place: usize| {
        let mut other = image.clone();
        other[place] ^= 1;
        bad(&sealed_again(other))
    };
    assert_eq!(with(8), "the image is of another version");
    for place in 16..24 {
        assert!(with(place).contains("another version of wasmbeam, or for another machine"));
    }
    // Another configuration than the code was made for.
    assert!(with(12).contains("another version of wasmbeam"));
    let mut unknown = image.clone();
    unknown[13] = 1;
    assert!(bad(&sealed_again(unknown)).contains("unknown configuration"));
}

#[test]
fn a_sealed_image_without_code_does_not_load() {
    let image = image();
    for code in [Vec::new(), vec![0; 5000], b"\x7fELF".to_vec()] {
        let mut other = image[..HEADER].to_vec();
        other.extend_from_slice(&code);
        other.extend_from_slice(&[0; SEAL]);
        assert!(bad(&sealed_again(other)).contains("the code does not load"));
    }
}

#[test]
fn a_sealed_image_that_ends_within_its_header_does_not_load() {
    let image = image();
    for (place, count) in [(76, 1), (76, u32::MAX), (HEADER, 2)] {
        let mut other = image[..place].to_vec();
        other[72..76].copy_from_slice(&u32::to_le_bytes(count));
        other.extend_from_slice(&[0; SEAL]);
        assert!(bad(&sealed_again(other)).contains("ends within its header"));
    }
}

#[test]
fn images_are_loaded_in_the_background_and_once() {
    let image = image();
    let load = |key: KeySource| {
        let mut request = request(&image);
        request.form = Form::Code(key);
        // Loading is not limited as compiling is.
        request.limits.bytes = 1;
        compile(request)
    };
    let first = load(key()).expect("an image");
    assert!(std::sync::Arc::ptr_eq(&first, &load(key()).unwrap()));
    assert!(matches!(load(other_key()), Err(Error::BadImage { .. })));
    assert!(matches!(
        load(KeySource::Absent),
        Err(Error::NotPermitted { .. })
    ));
}
