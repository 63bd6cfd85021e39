defmodule GreeterTest do
  use ExUnit.Case

  doctest Greeter

  test "bytes that are no text go through as they are" do
    assert Greeter.greet(<<255, 1>>) == {:ok, "Hello, " <> <<255, 1>> <> "!"}
  end

  test "greetings at the same time do not meet" do
    names = for number <- 1..100, do: "guest #{number}"

    assert names |> Task.async_stream(&Greeter.greet/1) |> Enum.map(&elem(&1, 1)) ==
             for(name <- names, do: {:ok, "Hello, #{name}!"})
  end
end
