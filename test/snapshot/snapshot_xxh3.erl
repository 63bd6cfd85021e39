%% @doc XXH3 with 128 bits and seed 0, for more than 128 bytes, by its specification.
-module(snapshot_xxh3).

-export([hash128/1]).

-define(MASK, 16#ffffffffffffffff).
-define(P32_1, 16#9e3779b1).
-define(P32_2, 16#85ebca77).
-define(P32_3, 16#c2b2ae3d).
-define(P64_1, 16#9e3779b185ebca87).
-define(P64_2, 16#c2b2ae3d27d4eb4f).
-define(P64_3, 16#165667b19e3779f9).
-define(P64_4, 16#85ebca77c2b2ae63).
-define(P64_5, 16#27d4eb2f165667c5).
-define(STRIPE, 64).
-define(STRIPES_IN_BLOCK, 16).
-define(BLOCK, 1024).
%% The default secret, as one number.
-define(SECRET, <<
    16#b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f:256,
    16#cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c:256,
    16#3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8:256,
    16#a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364:256,
    16#eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e:256,
    16#2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e:256>>).

%% @doc The hash as a number, its higher half first.
-spec hash128(binary()) -> non_neg_integer().
hash128(Input) when byte_size(Input) > 240 ->
    long(Input);
hash128(Input) when byte_size(Input) > 128 ->
    middle(Input).

word(Bytes, At) ->
    <<_:At/binary, Word:64/little, _/binary>> = Bytes,
    Word.

secret(At) -> word(?SECRET, At).

join(High, Low) -> ((High band ?MASK) bsl 64) bor (Low band ?MASK).

avalanche(Hash0) ->
    Hash1 = ((Hash0 bxor (Hash0 bsr 37)) * 16#165667919e3779f9) band ?MASK,
    Hash1 bxor (Hash1 bsr 32).

%% Both halves of a product.
fold(A, B) ->
    Product = A * B,
    (Product band ?MASK) bxor (Product bsr 64).

%% 129 to 240 bytes

middle(Input) ->
    Size = byte_size(Input),
    Mix = fun(At, Secret, Acc) -> mix32(Input, At - 32, At - 16, Secret, Acc) end,
    {Low0, High0} = lists:foldl(fun(At, Acc) -> Mix(At, At - 32, Acc) end,
                                {(Size * ?P64_1) band ?MASK, 0}, lists:seq(32, 159, 32)),
    Acc1 = {avalanche(Low0), avalanche(High0)},
    Acc2 = lists:foldl(fun(At, Acc) -> Mix(At, 3 + At - 160, Acc) end, Acc1,
                       lists:seq(160, Size, 32)),
    {Low, High} = mix32(Input, Size - 16, Size - 32, 136 - 17 - 16, Acc2),
    Both = (Low * ?P64_1 + High * ?P64_4 + Size * ?P64_2) band ?MASK,
    join(-avalanche(Both), avalanche((Low + High) band ?MASK)).

mix32(Input, First, Second, Secret, {Low, High}) ->
    {((Low + mix16(Input, First, Secret)) band ?MASK) bxor sum16(Input, Second),
     ((High + mix16(Input, Second, Secret + 16)) band ?MASK) bxor sum16(Input, First)}.

mix16(Input, At, Secret) ->
    fold(word(Input, At) bxor secret(Secret), word(Input, At + 8) bxor secret(Secret + 8)).

sum16(Input, At) ->
    (word(Input, At) + word(Input, At + 8)) band ?MASK.

%% More

long(Input) ->
    Size = byte_size(Input),
    Blocks = (Size - 1) div ?BLOCK,
    Lanes = [?P32_3, ?P64_1, ?P64_2, ?P64_3, ?P64_4, ?P32_2, ?P64_5, ?P32_1],
    Acc0 = lists:foldl(fun(Block, Acc) ->
        scramble(stripes(Input, Block * ?BLOCK, ?STRIPES_IN_BLOCK, Acc))
    end, Lanes, lists:seq(0, Blocks - 1)),
    Left = (Size - 1 - Blocks * ?BLOCK) div ?STRIPE,
    Acc1 = stripes(Input, Blocks * ?BLOCK, Left, Acc0),
    Acc = accumulate(Input, Size - ?STRIPE, 192 - ?STRIPE - 7, Acc1),
    Low = merge(Acc, 11, Size * ?P64_1),
    High = merge(Acc, 192 - ?STRIPE - 11, bnot (Size * ?P64_2)),
    join(High, Low).

stripes(Input, At, Count, Acc) ->
    lists:foldl(fun(Stripe, Lanes) ->
        accumulate(Input, At + Stripe * ?STRIPE, 8 * Stripe, Lanes)
    end, Acc, lists:seq(0, Count - 1)).

accumulate(Input, At, Secret, Acc) ->
    pairs(Input, At, Secret, Acc).

%% The value of each lane goes to its neighbour.
pairs(Input, At, Secret, [Even, Odd | Acc]) ->
    {Value0, Value1} = {word(Input, At), word(Input, At + 8)},
    {Key0, Key1} = {Value0 bxor secret(Secret), Value1 bxor secret(Secret + 8)},
    [(Even + Value1 + halves(Key0)) band ?MASK, (Odd + Value0 + halves(Key1)) band ?MASK
     | pairs(Input, At + 16, Secret + 16, Acc)];
pairs(_Input, _At, _Secret, []) ->
    [].

halves(Key) -> (Key band 16#ffffffff) * (Key bsr 32).

scramble(Acc) ->
    [((Lane bxor (Lane bsr 47) bxor secret(128 + 8 * Index)) * ?P32_1) band ?MASK
     || {Index, Lane} <- lists:enumerate(0, Acc)].

merge(Acc, Secret, Start) ->
    avalanche((Start + merge(Acc, Secret)) band ?MASK).

merge([First, Second | Acc], Secret) ->
    fold(First bxor secret(Secret), Second bxor secret(Secret + 8)) + merge(Acc, Secret + 16);
merge([], _Secret) ->
    0.
