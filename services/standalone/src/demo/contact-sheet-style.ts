/**
 * Rows of images of one height, whatever their shapes: each figure's width, and its share of what is left of a row, go
 * with its ratio, which `shapeRule` gives.
 */
export const CONTACT_SHEET_STYLE = `:root{color-scheme:light dark;--paper:#f6f5f2;--card:#fff;--ink:#1d1c1a;--soft:#6a6761;--line:#dedbd4;--good:#2f7d4f;--bad:#b3382c;--row:17rem}
@media (prefers-color-scheme:dark){:root{--paper:#141412;--card:#1f1e1c;--ink:#ecebe7;--soft:#a09c94;--line:#34322e;--good:#6fc28f;--bad:#ef8577}}
*{box-sizing:border-box;margin:0}
body{background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif;padding:clamp(1rem,3vw,3rem);max-width:110rem;margin:0 auto}
h1{font-size:clamp(1.6rem,3vw,2.4rem);line-height:1.15;letter-spacing:-.02em;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:3rem 0 .75rem}
header p{color:var(--soft);margin-top:.4rem;overflow-wrap:anywhere}
header .simulated{color:var(--bad)}
dl{display:flex;flex-wrap:wrap;gap:.75rem 2.5rem;margin:1.5rem 0 2rem;padding:1rem 0;border:solid var(--line);border-width:1px 0}
dt{color:var(--soft);font-size:.75rem;letter-spacing:.06em;text-transform:uppercase}
dd{font-size:1.35rem;font-variant-numeric:tabular-nums;line-height:1.3}
.good{color:var(--good)}
.bad{color:var(--bad)}
.sheet{display:flex;flex-wrap:wrap;gap:1rem}
.sheet::after{content:"";flex:1000 1 0}
figure{min-width:0;background:var(--card);border:1px solid var(--line);border-radius:.6rem;overflow:hidden}
figure img,.missing{display:block;width:100%;height:auto;background:var(--line)}
.missing{display:grid;background:none;place-items:center;aspect-ratio:var(--ratio);padding:1rem;color:var(--bad);text-align:center}
a:focus-visible{outline:3px solid var(--good);outline-offset:-3px}
figcaption{padding:.6rem .75rem .7rem}
.prompt{display:-webkit-box;-webkit-box-orient:vertical;-webkit-line-clamp:3;overflow:hidden;line-height:1.35;overflow-wrap:anywhere}
.facts{display:flex;flex-wrap:wrap;gap:0 .75rem;margin-top:.35rem;color:var(--soft);font-size:.8rem;font-variant-numeric:tabular-nums}
.facts b{color:var(--ink);overflow-wrap:anywhere}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:.6rem}
table{border-collapse:collapse;width:100%}
th,td{padding:.5rem .75rem;text-align:start;vertical-align:top;border-top:1px solid var(--line)}
thead th{border-top:0;color:var(--soft);font-size:.75rem;font-weight:600;letter-spacing:.06em;text-transform:uppercase}
td{overflow-wrap:break-word}
td:first-child{font-variant-numeric:tabular-nums;white-space:nowrap}
code{font:.9em ui-monospace,Menlo,Consolas,monospace;background:#8883;border-radius:.25rem;padding:.05em .3em}
footer{margin-top:3rem;color:var(--soft);font-size:.85rem}
@media (max-width:40rem){.sheet figure{flex:1 1 100%}}
@media print{figure{break-inside:avoid}:root{--row:9rem}}
`;

/** The rule for figures of one shape; `ratio` is width by height. */
export function shapeRule(name: string, ratio: number): string {
  const share = ratio.toFixed(4);
  return `.${name}{--ratio:${share};flex:${share} 1 calc(${share}*var(--row))}`;
}
