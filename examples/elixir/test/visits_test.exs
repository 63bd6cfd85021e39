defmodule VisitsTest do
  use ExUnit.Case

  test "visits are counted, and a new instance begins anew" do
    assert Visits.next() == {:ok, 1}
    assert Visits.next() == {:ok, 2}

    {:ok, instance} = :wasmbeam_server.instance(Visits)
    server = Process.monitor(Visits)
    :ok = :wasmbeam.stop(instance)
    assert_receive {:DOWN, ^server, :process, _, _}, 60_000
    assert first_answer() == {:ok, 1}
  end

  # Until the supervisor has started another there is none.
  defp first_answer do
    case Visits.next() do
      {:error, {:stopped, _}} -> Process.sleep(1) && first_answer()
      answer -> answer
    end
  end
end
