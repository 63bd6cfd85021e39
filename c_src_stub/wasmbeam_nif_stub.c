/* Stands in for the Rust library where it could not be built: it loads wherever
 * the Rust library would, and every function answers {error, native_unavailable}. */
#include <erl_nif.h>

static ERL_NIF_TERM unavailable(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argc;
    (void)argv;
    return enif_make_tuple2(env, enif_make_atom(env, "error"),
                            enif_make_atom(env, "native_unavailable"));
}

/* Without this callback the VM refuses to load a new version of the module while an old one exists. */
static int upgrade(ErlNifEnv *env, void **priv_data, void **old_priv_data, ERL_NIF_TERM info)
{
    (void)env;
    (void)priv_data;
    (void)old_priv_data;
    (void)info;
    return 0;
}

#define NIF(name, arity) {name, arity, unavailable, 0},
static ErlNifFunc functions[] = {
#include "nifs.inc"
};

ERL_NIF_INIT(wasmbeam_nif, functions, NULL, NULL, upgrade, NULL)
