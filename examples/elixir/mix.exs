defmodule Greeter.MixProject do
  use Mix.Project

  def project do
    [
      app: :greeter,
      version: "1.0.0",
      elixir: "~> 1.14",
      start_permanent: Mix.env() == :prod,
      deps: deps()
    ]
  end

  def application do
    [mod: {Greeter.Application, []}, extra_applications: [:logger]]
  end

  # Here wasmbeam is the folder around this example. Elsewhere name its repository:
  # {:wasmbeam, git: "https://github.com/wasmbeam/wasmbeam", branch: "main"}
  defp deps do
    [{:wasmbeam, path: System.get_env("WASMBEAM_PATH", "../..")}]
  end
end
