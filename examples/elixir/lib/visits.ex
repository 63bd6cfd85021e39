defmodule Visits do
  @moduledoc """
  Counts, in an instance under a supervisor.

  Calls run in the process that makes them. A single call needs no more care than that; several that
  belong together would need an instance, or a lock, of their own.
  """

  @doc """
  The child of a supervisor.
  """
  @spec child_spec(term()) :: Supervisor.child_spec()
  def child_spec(_options) do
    :wasmbeam_server.child_spec(%{name: __MODULE__, source: Greeter.image("counter.wat")})
  end

  @doc """
  One more, and how many it has been.
  """
  @spec next() :: {:ok, integer()} | {:error, {atom(), map()}}
  def next do
    with {:ok, [count]} <- :wasmbeam_server.call(__MODULE__, "up", []) do
      {:ok, count}
    end
  end
end
