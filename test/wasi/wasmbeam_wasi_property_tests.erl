%% The same random operations on a guest of each width and on a model in plain Erlang, with equal
%% results. A sequence that differs is made as short as it can be, and printed.
-module(wasmbeam_wasi_property_tests).

-include_lib("eunit/include/eunit.hrl").

-import(wasmbeam_wasi_guest, [errno/3, at/3, put/3, put_buffers/3, get/3, get_size/2, read/3,
                              write/3]).

%% Where long paths and data go in a guest's memory.
-define(DATA, 65536).

random_operations_give_equal_results_test_() ->
    [{lists:concat(["seed ", Seed]), {timeout, 120, fun() -> holds(Seed) end}}
     || Seed <- lists:seq(1, 12)].

holds(Seed) ->
    Operations = operations(1000, rand:seed_s(exsss, {Seed, 7, 11})),
    case check(Operations, fun wasmbeam_wasi_model:apply/2) of
        ok -> ok;
        {differs, _} -> erlang:error({differs, shrink(Operations, fun wasmbeam_wasi_model:apply/2)})
    end.

random_operations_succeed_and_fail_in_all_ways_test() ->
    {Operations, Results} = lists:unzip(lists:append(
        [begin
             Operations = operations(1000, rand:seed_s(exsss, {Seed, 7, 11})),
             {Results, _} = lists:mapfoldl(fun wasmbeam_wasi_model:apply/2,
                                           wasmbeam_wasi_model:new(), Operations),
             lists:zip(Operations, Results)
         end || Seed <- lists:seq(1, 12)])),
    Succeeded = lists:usort([element(1, Operation)
                             || {Operation, Result} <- lists:zip(Operations, Results),
                                Result =:= ok orelse element(1, Result) =:= ok]),
    ?assertEqual(lists:sort([close, link, list, mkdir, open, pread, pwrite, read, readlink, rename,
                             renumber, rmdir, seek, set_size, stat, symlink, tell, unlink, write]),
                 Succeeded),
    Errnos = lists:usort([Errno || {errno, Errno} <- Results]),
    ?assertEqual([], [badf, busy, exist, inval, isdir, loop, noent, notdir, notempty, perm] -- Errnos).

%% A model that is wrong about one thing is found out, by no more than it takes.
a_difference_is_found_and_made_short_test() ->
    Wrong = fun
        ({tell, _} = Operation, Model) ->
            case wasmbeam_wasi_model:apply(Operation, Model) of
                {{ok, Offset}, Changed} when Offset > 0 -> {{ok, Offset - 1}, Changed};
                Right -> Right
            end;
        (Operation, Model) ->
            wasmbeam_wasi_model:apply(Operation, Model)
    end,
    Operations = operations(400, rand:seed_s(exsss, {3, 7, 11})),
    #{operations := Short, expected := {ok, Less}, got := {ok, Offset}} = shrink(Operations, Wrong),
    ?assertEqual(1, Offset - Less),
    %% Without any one of them there is no difference.
    ?assertMatch({tell, _}, lists:last(Short)),
    ?assert(length(Short) =< 6),
    [?assertEqual(ok, check(lists:sublist(Short, N - 1) ++ lists:nthtail(N, Short), Wrong))
     || N <- lists:seq(1, length(Short))].

%% Runs operations on the model and on both guests; stops at the first difference.
check(Operations, Apply) ->
    Guests = [wasmbeam_wasi_guest:start(Width, #{clock => {fixed, 1}, quotas => #{descriptors => 4096}})
              || Width <- wasmbeam_wasi_guest:widths()],
    Result = check(Operations, 1, Guests, wasmbeam_wasi_model:new(), Apply),
    [ok = wasmbeam:stop(Instance) || #{instance := Instance} <- Guests],
    Result.

check([], _Index, Guests, Model, _Apply) ->
    same_tree(final, Guests, Model);
check([Operation | Rest], Index, Guests, Model, Apply) ->
    {Expected, Changed} = Apply(Operation, Model),
    Others = [{Width, Got} || #{width := Width} = Guest <- Guests,
                              Got <- [run(Operation, Guest)], Got =/= Expected],
    Trees = case Index rem 100 of 0 -> same_tree(Index, Guests, Changed); _ -> ok end,
    case {Others, Trees} of
        {[], ok} -> check(Rest, Index + 1, Guests, Changed, Apply);
        {[{Width, Got} | _], _} ->
            {differs, #{index => Index, operation => Operation, width => Width,
                        expected => Expected, got => Got}};
        {[], Differs} -> Differs
    end.

same_tree(Index, Guests, Model) ->
    Expected = wasmbeam_wasi_model:tree(Model),
    case [{Width, Got} || #{instance := Instance, width := Width} <- Guests,
                          {ok, Got} <- [wasmbeam:fs_get(Instance)], Got =/= Expected] of
        [] -> ok;
        [{Width, Got} | _] ->
            {differs, #{index => Index, operation => tree, width => Width, expected => Expected,
                        got => Got}}
    end.

%% The shortest sequence found by leaving out ever smaller parts that are not needed.
shrink(Operations, Apply) ->
    {differs, #{index := Index} = Difference} = check(Operations, Apply),
    Needed = case Index of final -> Operations; _ -> lists:sublist(Operations, Index) end,
    shrink(Needed, max(1, length(Needed) div 2), Difference, Apply).

shrink(Operations, 0, Difference, _Apply) ->
    Difference#{operations => Operations};
shrink(Operations, Size, Difference, Apply) ->
    {Shorter, Differs} = without(0, Operations, Size, Difference, Apply),
    %% Single ones are tried until none can go.
    Next = if
        Size =:= 1, length(Shorter) < length(Operations) -> 1;
        true -> Size div 2
    end,
    shrink(Shorter, Next, Differs, Apply).

without(From, Operations, _Size, Difference, _Apply) when From >= length(Operations) ->
    {Operations, Difference};
without(From, Operations, Size, Difference, Apply) ->
    {Before, Rest} = lists:split(From, Operations),
    Shorter = Before ++ lists:nthtail(min(Size, length(Rest)), Rest),
    case check(Shorter, Apply) of
        {differs, Differs} -> without(From, Shorter, Size, Differs, Apply);
        ok -> without(From + Size, Operations, Size, Difference, Apply)
    end.

%% Operations at random: few names, so that they meet.
operations(0, _Random) ->
    [];
operations(Count, Random) ->
    {Operation, Next} = operation(Random),
    [Operation | operations(Count - 1, Next)].

operation(Random0) ->
    {Kind, Random1} = rand:uniform_s(30, Random0),
    {P, Random2} = path(Random1),
    {Q, Random3} = path(Random2),
    {N, Random} = rand:uniform_s(1 bsl 40, Random3),
    Fd = 4 + N rem 5,
    Size = N div 7 rem 3000,
    Follow = pick(N div 11, [follow, nofollow]),
    Offset = N div 13 rem 5000,
    Text = binary:copy(<<N:40>>, 1 + N rem 400),
    Operation = case Kind of
        K when K =< 2 -> {mkdir, P};
        3 -> {rmdir, P};
        4 -> {unlink, P};
        K when K =< 6 -> {rename, P, Q};
        K when K =< 8 -> {link, Follow, P, pick(N div 29, [Q, <<"g">>, <<"h">>])};
        K when K =< 10 -> {symlink, target(N, Q), P};
        11 -> {readlink, P};
        12 -> {stat, Follow, P};
        13 -> {list, P};
        K when K =< 19 -> {open, P, pick(N div 17, flags())};
        20 -> {close, Fd};
        21 -> {tell, Fd};
        22 -> {read, Fd, Size};
        K when K =< 24 -> {write, Fd, Text};
        25 -> {pread, Fd, Size, Offset};
        26 -> {pwrite, Fd, Text, Offset};
        27 -> {seek, Fd, Offset - 1000, pick(N div 19, [set, current, 'end'])};
        28 -> {set_size, Fd, Size};
        29 -> {renumber, Fd, 4 + N div 23 rem 5};
        30 -> {close, Fd}
    end,
    {Operation, Random}.

flags() ->
    [[create], [create], [create, append], [create, exclusive], [create, truncate], [truncate], [],
     [append], [directory], [directory], [create, directory], [directory, truncate]].

target(N, _Path) when N rem 40 =:= 0 -> <<"/a">>;
target(_N, Path) -> Path.

pick(N, List) -> lists:nth(1 + N rem length(List), List).

path(Random0) ->
    {N, Random} = rand:uniform_s(1 bsl 40, Random0),
    Names = [<<"a">>, <<"b">>, <<"c">>, <<"d">>, <<"a">>, <<"b">>, <<"c">>, <<"d">>, <<"g">>, <<".">>,
             <<"..">>],
    Depth = pick(N div 101, [1, 1, 1, 2, 2, 3]),
    Parts = [pick(N div round(math:pow(11, I)), Names) || I <- lists:seq(1, Depth)],
    Slash = pick(N div 100003, [<<>>, <<>>, <<>>, <<>>, <<>>, <<"/">>, <<"//">>]),
    Absolute = pick(N div 1009, [<<"/">> | lists:duplicate(99, <<>>)]),
    {iolist_to_binary([Absolute, lists:join(<<"/">>, Parts), Slash]), Random}.

%% An operation as a guest does it.
run({mkdir, Path}, Guest) -> done(at(Guest, "path_create_directory", [3, Path]));
run({rmdir, Path}, Guest) -> done(at(Guest, "path_remove_directory", [3, Path]));
run({unlink, Path}, Guest) -> done(at(Guest, "path_unlink_file", [3, Path]));
run({rename, From, To}, Guest) -> done(at(Guest, "path_rename", [3, From, 3, To]));
run({link, Follow, From, To}, Guest) ->
    done(at(Guest, "path_link", [3, lookup(Follow), From, 3, To]));
run({symlink, Target, Path}, Guest) -> done(at(Guest, "path_symlink", [Target, 3, Path]));
run({readlink, Path}, Guest) ->
    done(at(Guest, "path_readlink", [3, Path, ?DATA, 4096, 16]),
         fun() -> get(Guest, ?DATA, get_size(Guest, 16)) end);
run({stat, Follow, Path}, Guest) ->
    done(at(Guest, "path_filestat_get", [3, lookup(Follow), Path, ?DATA]),
         fun() ->
             <<_:128, Type, _:56, Links:64/little, Size:64/little>> = get(Guest, ?DATA, 40),
             case Type of
                 3 -> {directory, 0, Links};
                 4 -> {file, Size, Links};
                 7 -> {symlink, Size, Links}
             end
         end);
run({list, Path}, Guest) ->
    Rights = (1 bsl 14),
    case at(Guest, "path_open", [3, 1, Path, 2, Rights, 0, 0, 16]) of
        0 ->
            <<Fd:32/little>> = get(Guest, 16, 4),
            0 = errno(Guest, "fd_readdir", [Fd, ?DATA, 4096, 2, 16]),
            Names = names(get(Guest, ?DATA, get_size(Guest, 16))),
            0 = errno(Guest, "fd_close", [Fd]),
            {ok, lists:sort(Names)};
        Errno -> done(Errno)
    end;
run({open, Path, Flags}, Guest) ->
    Bits = lists:sum([case Flag of create -> 1; directory -> 2; exclusive -> 4; truncate -> 8 end
                      || Flag <- Flags, Flag =/= append]),
    Append = case lists:member(append, Flags) of true -> 1; false -> 0 end,
    All = (1 bsl 28) - 1,
    Rights = case lists:member(directory, Flags) of true -> 1 bsl 14; false -> All end,
    done(at(Guest, "path_open", [3, 1, Path, Bits, Rights, All, Append, 16]),
         fun() -> <<Fd:32/little>> = get(Guest, 16, 4), Fd end);
run({close, Fd}, Guest) -> done(errno(Guest, "fd_close", [Fd]));
run({renumber, From, To}, Guest) -> done(errno(Guest, "fd_renumber", [From, To]));
run({tell, Fd}, Guest) ->
    done(errno(Guest, "fd_tell", [Fd, 16]), fun() -> offset(Guest) end);
run({seek, Fd, Delta, Whence}, Guest) ->
    Number = case Whence of set -> 0; current -> 1; 'end' -> 2 end,
    done(errno(Guest, "fd_seek", [Fd, Delta, Number, 16]), fun() -> offset(Guest) end);
run({read, Fd, Size}, Guest) -> named(read(Guest, Fd, Size));
run({write, Fd, Bytes}, Guest) -> named(write(Guest, Fd, Bytes));
run({pread, Fd, Size, Offset}, Guest) ->
    put_buffers(Guest, 64, [{?DATA, Size}]),
    done(errno(Guest, "fd_pread", [Fd, 64, 1, Offset, 16]),
         fun() -> get(Guest, ?DATA, get_size(Guest, 16)) end);
run({pwrite, Fd, Bytes, Offset}, Guest) ->
    put(Guest, ?DATA, Bytes),
    put_buffers(Guest, 64, [{?DATA, byte_size(Bytes)}]),
    done(errno(Guest, "fd_pwrite", [Fd, 64, 1, Offset, 16]), fun() -> get_size(Guest, 16) end);
run({set_size, Fd, Size}, Guest) -> done(errno(Guest, "fd_filestat_set_size", [Fd, Size])).

lookup(follow) -> 1;
lookup(nofollow) -> 0.

offset(Guest) ->
    <<Offset:64/little>> = get(Guest, 16, 8),
    Offset.

names(<<_:128, Size:32/little, _:32, Name:Size/binary, Rest/binary>>) -> [Name | names(Rest)];
names(<<>>) -> [].

named({errno, Errno}) -> done(Errno);
named(Ok) -> Ok.

done(0) -> ok;
done(Errno) -> {errno, errno_name(Errno)}.

done(0, Answer) -> {ok, Answer()};
done(Errno, _Answer) -> done(Errno).

errno_name(Errno) ->
    maps:get(Errno, #{8 => badf, 10 => busy, 20 => exist, 28 => inval, 31 => isdir, 32 => loop,
                      44 => noent, 54 => notdir, 55 => notempty, 63 => perm, 70 => spipe}, Errno).
