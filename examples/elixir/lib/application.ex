defmodule Greeter.Application do
  @moduledoc false
  use Application

  @impl true
  def start(_type, _args) do
    with :ok <- Greeter.load() do
      Supervisor.start_link([Visits], strategy: :one_for_one)
    end
  end
end
