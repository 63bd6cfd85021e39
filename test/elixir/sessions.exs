# Runs the sessions of iex in pages of documentation, and fails if one does not show what it says.
#
# A session is a block in `elixir` with prompts. An expression may be followed by what it evaluates to,
# as an expression too. Each block begins without variables.

defmodule Sessions do
  def blocks(page) do
    ~r/^```elixir\n(iex> .*?)^```$/ms
    |> Regex.scan(File.read!(page), capture: :all_but_first)
    |> List.flatten()
  end

  def run(page, block) do
    block |> String.split("\n", trim: true) |> entries([]) |> Enum.reduce([], &entry(page, &1, &2))
  end

  defp entries(["iex> " <> first | lines], entries) do
    {more, lines} = Enum.split_while(lines, &String.starts_with?(&1, "...>"))
    {expected, lines} = Enum.split_while(lines, &(not String.starts_with?(&1, "iex>")))
    more = for "...>" <> line <- more, do: String.replace_prefix(line, " ", "")
    entries(lines, [{Enum.join([first | more], "\n"), Enum.join(expected, "\n")} | entries])
  end

  defp entries([], entries), do: Enum.reverse(entries)

  defp entry(page, {expression, expected}, bindings) do
    {value, bindings} = Code.eval_string(expression, bindings, file: page)

    if expected != "" and value != elem(Code.eval_string(expected, bindings, file: page), 0) do
      raise "#{page}: #{expression}\nis: #{inspect(value)}\nnot: #{expected}"
    end

    bindings
  end
end

{:ok, _} = Application.ensure_all_started(:wasmbeam)
sessions = for page <- System.argv(), block <- Sessions.blocks(page), do: {page, block}
for {page, block} <- sessions, do: Sessions.run(page, block)
IO.puts("#{length(sessions)} sessions are as they are shown")
