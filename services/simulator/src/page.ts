/** The page at `/`: the state, the last pictures, the last calls. It asks the control endpoints every two seconds. */
export const PAGE = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Renderyard simulator</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1c2530; background: #f6f7f9 }
  h1 { font-size: 1.4rem } h2 { font-size: 1.05rem; margin-top: 2rem }
  dl { display: flex; flex-wrap: wrap; gap: 1rem; margin: 0 }
  dl div { background: #fff; border: 1px solid #dde2e8; border-radius: 8px; padding: .5rem 1rem; min-width: 8rem }
  dt { color: #5b6774; font-size: .85rem } dd { margin: 0; font-size: 1.15rem; font-variant-numeric: tabular-nums }
  #pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .75rem }
  #pictures img { width: 100%; border-radius: 6px; display: block }
  table { border-collapse: collapse; width: 100%; background: #fff }
  td, th { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #e6eaee; font-variant-numeric: tabular-nums }
  td:last-child { max-width: 30rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
  .wide { overflow-x: auto }
  [role=alert] { background: #fdecea; border: 1px solid #e0a8a2; border-radius: 8px; padding: .5rem 1rem }
  [hidden] { display: none }
  @media (max-width: 40rem) {
    td, th { padding: .25rem; font-size: .8rem; vertical-align: top; overflow-wrap: anywhere }
    td:first-child { min-width: 5.5rem } th { overflow-wrap: normal }
    td:last-child { white-space: normal; min-width: 6rem; max-height: 4rem }
  }
</style>
</head>
<body>
<h1>Renderyard simulator</h1>
<p>It stands in for the upstream: pictures are drawn here, and credits are play money.</p>
<p id="dead" role="alert" hidden>The simulator does not answer. What stands here is how it was when it last did.</p>
<dl id="state"></dl>
<h2>Last pictures</h2><div id="pictures"></div>
<h2>Last calls</h2>
<div class="wide"><table><thead><tr><th>Time</th><th>Status</th><th>Answer</th><th>Fault</th><th>Prompt</th></tr></thead><tbody id="calls"></tbody></table></div>
<script>
  const at = (id) => document.getElementById(id);
  const make = (tag, text) => Object.assign(document.createElement(tag), { textContent: text ?? '' });
  const get = async (path) => {
    const response = await fetch(path, { signal: AbortSignal.timeout(10000) });
    if (!response.ok) throw new Error(path + ' answered ' + response.status);
    return response.json();
  };
  const shown = new Set();
  let startedAt = '';
  async function refresh() {
    const state = await get('/control/state');
    if (state.started_at !== startedAt) {
      // After a reset or a new start nothing of before is there any more, the pictures least of all.
      startedAt = state.started_at; shown.clear(); at('pictures').replaceChildren();
    }
    const facts = { Balance: state.balance_exact, Billed: state.billed_total_exact, Renders: state.billed_count,
      Calls: state.calls, 'In flight': state.in_flight, Faults: state.faults };
    at('state').replaceChildren(...Object.entries(facts).map(([name, value]) => {
      const box = make('div'); box.append(make('dt', name), make('dd', value)); return box; }));
    const ledger = await get('/control/ledger?limit=12&after=' + Math.max(0, state.billed_count - 12));
    for (const render of ledger.data) {
      if (shown.has(render.request_id)) continue;
      shown.add(render.request_id);
      const image = make('img'); image.loading = 'lazy'; image.alt = render.prompt.slice(0, 200);
      image.title = render.prompt + ' (' + render.cost_exact + ' credits, ' + render.answer + ')';
      image.src = '/control/images/' + render.request_id;
      at('pictures').prepend(image);
    }
    while (at('pictures').children.length > 12) at('pictures').lastChild.remove();
    const calls = await get('/control/calls?limit=20&after=' + Math.max(0, state.calls - 20));
    at('calls').replaceChildren(...calls.data.reverse().map((call) => {
      const row = make('tr');
      for (const text of [call.at.slice(11, 23), call.status ?? '-', call.answer, call.fault ?? '', call.prompt?.slice(0, 100) ?? call.path])
        row.append(make('td', text));
      return row; }));
  }
  const loop = () => refresh().then(() => { at('dead').hidden = true; }, () => { at('dead').hidden = false; })
    .finally(() => setTimeout(loop, 2000));
  loop();
</script>
</body>
</html>
`;
