
// The host of a report: the data is in the page, and the system says whether it is dark.
{
  const root = document.getElementById("board");
  const data = JSON.parse(document.getElementById("data").textContent);
  const system = matchMedia("(prefers-color-scheme: dark)");
  const { charts } = show(root, data, globalThis.Plotly, () => system.matches);
  system.addEventListener("change", () => charts.shade());
  addEventListener("beforeprint", () => charts.print(true));
  addEventListener("afterprint", () => charts.print(false));
}
