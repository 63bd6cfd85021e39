%% @doc The functions of WASI preview 1: their parameters, which of them are as wide as a pointer, and
%% the numbers of errors.
-module(dev_wasi_abi).

-export([is_function/1, arguments/3, errno/1, file_type/1]).

-export_type([width/0]).

-type width() :: 4 | 8.
%% Bytes of a pointer or a size.

%% @doc Whether preview 1 has a function of that name.
-spec is_function(binary()) -> boolean().
is_function(Name) ->
    parameters(Name) =/= undefined.

%% @doc The arguments without a sign, and the width of pointers; `error' if they are not what the
%% function takes. A signature that shows no width means pointers of 4 bytes.
-spec arguments(binary(), [term()], binary() | not_found) ->
    {ok, [non_neg_integer()], width()} | error.
arguments(Name, Args, Signature) ->
    Parameters = parameters(Name),
    case is_list(Args) andalso length(Args) =:= length(Parameters)
             andalso lists:all(fun is_integer/1, Args) of
        true ->
            Width = width(Parameters, Signature),
            {ok, lists:zipwith(fun(Kind, Arg) -> unsigned(Kind, Width, Arg) end, Parameters, Args),
             Width};
        false ->
            error
    end.

width([p | _], <<"(I", _/binary>>) -> 8;
width([p | _], <<"I", _/binary>>) -> 8;
width(Parameters, <<"(", Types/binary>>) -> width(Parameters, Types);
width([_ | Parameters], <<_, Types/binary>>) -> width(Parameters, Types);
width(_Parameters, _Signature) -> 4.

unsigned(i, _Width, Arg) -> Arg band 16#ffffffff;
unsigned(p, Width, Arg) -> Arg band ((1 bsl (8 * Width)) - 1);
unsigned('I', _Width, Arg) -> Arg band 16#ffffffffffffffff.

%% `i' and `I' are integers of 32 and 64 bits, `p' is a pointer or a size.
parameters(<<"args_get">>) -> [p, p];
parameters(<<"args_sizes_get">>) -> [p, p];
parameters(<<"environ_get">>) -> [p, p];
parameters(<<"environ_sizes_get">>) -> [p, p];
parameters(<<"clock_res_get">>) -> [i, p];
parameters(<<"clock_time_get">>) -> [i, 'I', p];
parameters(<<"fd_advise">>) -> [i, 'I', 'I', i];
parameters(<<"fd_allocate">>) -> [i, 'I', 'I'];
parameters(<<"fd_close">>) -> [i];
parameters(<<"fd_datasync">>) -> [i];
parameters(<<"fd_fdstat_get">>) -> [i, p];
parameters(<<"fd_fdstat_set_flags">>) -> [i, i];
parameters(<<"fd_fdstat_set_rights">>) -> [i, 'I', 'I'];
parameters(<<"fd_filestat_get">>) -> [i, p];
parameters(<<"fd_filestat_set_size">>) -> [i, 'I'];
parameters(<<"fd_filestat_set_times">>) -> [i, 'I', 'I', i];
parameters(<<"fd_pread">>) -> [i, p, p, 'I', p];
parameters(<<"fd_prestat_get">>) -> [i, p];
parameters(<<"fd_prestat_dir_name">>) -> [i, p, p];
parameters(<<"fd_pwrite">>) -> [i, p, p, 'I', p];
parameters(<<"fd_read">>) -> [i, p, p, p];
parameters(<<"fd_readdir">>) -> [i, p, p, 'I', p];
parameters(<<"fd_renumber">>) -> [i, i];
parameters(<<"fd_seek">>) -> [i, 'I', i, p];
parameters(<<"fd_sync">>) -> [i];
parameters(<<"fd_tell">>) -> [i, p];
parameters(<<"fd_write">>) -> [i, p, p, p];
parameters(<<"path_create_directory">>) -> [i, p, p];
parameters(<<"path_filestat_get">>) -> [i, i, p, p, p];
parameters(<<"path_filestat_set_times">>) -> [i, i, p, p, 'I', 'I', i];
parameters(<<"path_link">>) -> [i, i, p, p, i, p, p];
parameters(<<"path_open">>) -> [i, i, p, p, i, 'I', 'I', i, p];
parameters(<<"path_readlink">>) -> [i, p, p, p, p, p];
parameters(<<"path_remove_directory">>) -> [i, p, p];
parameters(<<"path_rename">>) -> [i, p, p, i, p, p];
parameters(<<"path_symlink">>) -> [p, p, i, p, p];
parameters(<<"path_unlink_file">>) -> [i, p, p];
parameters(<<"poll_oneoff">>) -> [p, p, p, p];
parameters(<<"proc_exit">>) -> [i];
parameters(<<"proc_raise">>) -> [i];
parameters(<<"sched_yield">>) -> [];
parameters(<<"random_get">>) -> [p, p];
parameters(<<"sock_accept">>) -> [i, i, p];
parameters(<<"sock_recv">>) -> [i, p, p, i, p, p];
parameters(<<"sock_send">>) -> [i, p, p, i, p];
parameters(<<"sock_shutdown">>) -> [i, i];
parameters(_) -> undefined.

%% @doc The number of an error.
-spec errno(atom()) -> non_neg_integer().
errno(success) -> 0;
errno(badf) -> 8;
errno(exist) -> 20;
errno(fault) -> 21;
errno(fbig) -> 22;
errno(inval) -> 28;
errno(isdir) -> 31;
errno(mfile) -> 33;
errno(nametoolong) -> 37;
errno(noent) -> 44;
errno(nosys) -> 52;
errno(notdir) -> 54;
errno(notempty) -> 55;
errno(notsock) -> 57;
errno(notsup) -> 58;
errno(overflow) -> 61;
errno(spipe) -> 70;
errno(notcapable) -> 76.

%% @doc The number of a type of file.
-spec file_type(character_device | directory | regular_file) -> 2 | 3 | 4.
file_type(character_device) -> 2;
file_type(directory) -> 3;
file_type(regular_file) -> 4.
