import { createHash } from 'node:crypto';
import { formatCredits, formatSeconds } from './amounts.ts';
import type { BatchView, ResultRow, RowProblem } from './batch-view.ts';
import { CONTACT_SHEET_STYLE, shapeRule } from './contact-sheet-style.ts';
import { escapeHtml } from './escape-html.ts';

/** What a contact sheet shows. */
export interface ContactSheet {
  readonly batch: BatchView;
  /** In the order in which they are to be shown. */
  readonly rows: readonly ResultRow[];
  /** Where the image of a row lies, as a path relative to the page with `/` between its parts. */
  readonly pictures: ReadonlyMap<number, string>;
  /** The images are the simulator's. */
  readonly simulated: boolean;
}

/** A panorama of 21:9 or a tall banner is as extreme as a row of images bears. */
const WIDEST = 3;
const DESCRIPTIONS: Readonly<Record<string, string>> = {
  canceled: 'The batch was canceled before its turn came.',
  queued: 'Its turn has not come yet.',
  processing: 'It is being rendered.',
};

/**
 * A page of the images of a batch, with what each was made of, and the rows that have none with the reason. It needs
 * nothing but itself and the images, runs no script, and forbids whatever else a text in it might bring along.
 */
export function contactSheet({ batch, rows, pictures, simulated }: ContactSheet): string {
  const shown = rows.filter(({ status }) => status === 'succeeded');
  const failed = rows.filter(({ status }) => status === 'failed');
  const waiting = rows.filter(({ status }) => status !== 'succeeded' && status !== 'failed');
  const shapes = new Map<string, string>();
  const figures = shown.map((row) => figure(row, shapeOf(row, shapes), pictures.get(row.row)));
  const style = `${CONTACT_SHEET_STYLE}${[...shapes].map(([ratio, name]) => shapeRule(name, Number(ratio))).join('\n')}\n`;
  const styleHash = createHash('sha256').update(style).digest('base64');
  const title = escapeHtml(batch.name ?? batch.id);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="content-security-policy" content="default-src 'none'; img-src 'self' file:; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${title} – contact sheet</title>
<style>${style}</style>
</head>
<body>
${head(batch, title, simulated)}
<main>
<div class="sheet">
${figures.join('\n')}
</div>
${section('Failed', ['Line', 'Id', 'Prompt', 'Why'], failed.map(failedCells))}
${section('Not rendered', ['Line', 'Id', 'Prompt', 'Why'], waiting.map(waitingCells))}
${section('Rejected', ['Line', 'Column', 'Given', 'What would be right'], batch.report.rejected.errors.map(problemCells))}
${section('Worth knowing', ['Line', 'Column', 'Given', 'Why'], batch.report.warnings.map(problemCells))}
</main>
<footer>Made by Renderyard. Click an image to see it in full.</footer>
</body>
</html>
`;
}

function head(batch: BatchView, title: string, simulated: boolean): string {
  const { counts, cost, started_at, ended_at } = batch;
  const seconds =
    started_at === null || ended_at === null ? null : (Date.parse(ended_at) - Date.parse(started_at)) / 1000;
  const facts: readonly (readonly [string, string, string?])[] = [
    ['Images', `${counts.succeeded} of ${counts.total}`, 'good'],
    ['Failed', String(counts.failed), counts.failed > 0 ? 'bad' : undefined],
    ['Rejected', String(counts.rejected), counts.rejected > 0 ? 'bad' : undefined],
    ['Spent', formatCredits(cost)],
    ...(seconds === null ? [] : [['Took', formatSeconds(seconds)] as const]),
  ].map(([name, value, look]) => [name, value, look] as [string, string, string?]);
  const list = facts.map(
    ([name, value, look]) =>
      `<div><dt>${name}</dt><dd${look === undefined ? '' : ` class="${look}"`}>${escapeHtml(value)}</dd></div>`,
  );
  const when = (ended_at ?? batch.created_at).slice(0, 16).replace('T', ' ');
  return `<header>
<h1 dir="auto">${title}</h1>
<p><code>${escapeHtml(batch.id)}</code> · ${escapeHtml(batch.status)} · ${escapeHtml(when)} UTC</p>
${simulated ? '<p class="simulated">Simulation: these images were drawn by the simulator, and its credits are not money.</p>\n' : ''}<dl>${list.join('')}</dl>
</header>`;
}

/** The name of the class of a row's shape, made where there is none yet. */
function shapeOf({ output }: ResultRow, shapes: Map<string, string>): string {
  const { width = 1, height = 1 } = output[0] ?? {};
  const ratio = Math.min(WIDEST, Math.max(1 / WIDEST, width / height || 1)).toFixed(4);
  const name = shapes.get(ratio) ?? `shape-${shapes.size + 1}`;
  shapes.set(ratio, name);
  return name;
}

function figure(row: ResultRow, shape: string, picture: string | undefined): string {
  const image = row.output[0];
  const prompt = escapeHtml(row.input.prompt);
  const source = escapeHtml((picture ?? '').split('/').map(encodeURIComponent).join('/'));
  const facts = [
    `<b dir="auto">${escapeHtml(row.id ?? `row ${row.row}`)}</b>`,
    ...(image === undefined
      ? []
      : [`<span>seed ${image.seed}</span>`, `<span>${image.width} × ${image.height}</span>`]),
    `<span>${formatCredits(row.cost)}</span>`,
  ];
  const view =
    picture === undefined || image === undefined
      ? '<div class="missing">The image could not be downloaded.</div>'
      : `<a href="${source}"><img src="${source}" width="${image.width}" height="${image.height}" loading="lazy" decoding="async" alt="${prompt}"></a>`;
  return `<figure class="${shape}">${view}<figcaption><p class="prompt" dir="auto" title="${prompt}">${prompt}</p><p class="facts">${facts.join('')}</p></figcaption></figure>`;
}

const failedCells = ({ line, id, input, error }: ResultRow): Cells => [
  String(line),
  id ?? '',
  input.prompt,
  error === null ? '' : `${error.code}: ${error.detail}`,
];
const waitingCells = ({ line, id, input, status }: ResultRow): Cells => [
  String(line),
  id ?? '',
  input.prompt,
  DESCRIPTIONS[status] ?? status,
];
const problemCells = ({ line, column, value, detail }: RowProblem): Cells => [
  String(line),
  column ?? '',
  value ?? '',
  detail,
];

type Cells = readonly [string, string, string, string];

function section(title: string, names: Cells, rows: readonly Cells[]): string {
  if (rows.length === 0) return '';
  const body = rows.map(
    (cells) => `<tr>${cells.map((cell) => `<td dir="auto">${escapeHtml(cell)}</td>`).join('')}</tr>`,
  );
  return `<section>
<h2>${title} (${rows.length})</h2>
<div class="scroll"><table>
<thead><tr>${names.map((name) => `<th scope="col">${name}</th>`).join('')}</tr></thead>
<tbody>
${body.join('\n')}
</tbody>
</table></div>
</section>`;
}
