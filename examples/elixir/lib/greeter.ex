defmodule Greeter do
  @moduledoc """
  Greets by a function in WebAssembly.

  The module is compiled when the application starts. Each greeting has an instance of its own, which
  costs microseconds: what one caller does, or breaks, no other one sees.
  """

  @doc """
  Compiles the module.
  """
  @spec load() :: :ok | {:error, {atom(), map()}}
  def load do
    with {:ok, module} <- "greet.wat" |> image() |> :wasmbeam.compile() do
      :persistent_term.put(__MODULE__, module)
    end
  end

  @doc """
  The bytes of a module in `priv`.
  """
  @spec image(String.t()) :: binary()
  def image(name) do
    :greeter |> Application.app_dir(["priv", name]) |> File.read!()
  end

  @doc """
  Greets somebody.

      iex> Greeter.greet("Elixir")
      {:ok, "Hello, Elixir!"}
  """
  @spec greet(String.t()) :: {:ok, String.t()} | {:error, {atom(), map()}}
  def greet(name) do
    with {:ok, instance} <- :wasmbeam.start(:persistent_term.get(__MODULE__)),
         {:ok, [address]} <- :wasmbeam.call(instance, "malloc", [byte_size(name) + 1]),
         :ok <- :wasmbeam.memory_write(instance, address, name <> <<0>>),
         {:ok, [greeting]} <- :wasmbeam.call(instance, "greet", [address]),
         {:ok, text} <- :wasmbeam.memory_read_string(instance, greeting),
         :ok <- :wasmbeam.stop(instance) do
      {:ok, text}
    end
  end
end
