import { randomUUID } from 'node:crypto';
import { rowJobId } from '@renderyard/shared/batch/row';
import type { Clock } from '@renderyard/shared/clock';
import type { BatchView, CreditsView, Findings, ResultRow } from './batch-view.ts';
import { DemoError } from './demo-error.ts';

const REQUEST_MS = 60_000;
/** The API may be started again meanwhile; that takes no longer. */
const PATIENCE_MS = 60_000;
const PAUSE_MS = 1_000;
/** Answers after which the same request may well succeed. */
const PASSING = new Set([429, 502, 503, 504]);

/** An upload, and the options that go with it into the query. */
export interface Upload {
  readonly csv: Uint8Array;
  readonly options: Readonly<Record<string, string>>;
}

/** What the demo asks of the API. Everything throws {@link DemoError} where the API refuses or does not answer. */
export interface DemoClient {
  /** Nothing is made. */
  dryRun(upload: Upload): Promise<Findings>;
  createBatch(upload: Upload): Promise<BatchView>;
  batch(id: string): Promise<BatchView>;
  /** The latest 100 batches that have one of the states. */
  batches(statuses: readonly string[]): Promise<readonly BatchView[]>;
  credits(): Promise<CreditsView>;
  results(id: string): Promise<readonly ResultRow[]>;
  image(batch: string, row: number): Promise<Uint8Array>;
}

interface Problem {
  readonly title?: string;
  readonly detail?: string;
  readonly errors?: readonly { readonly detail?: string }[];
}

export function createDemoClient(options: {
  readonly url: string;
  /** Undefined where none is needed. */
  readonly key: string | undefined;
  readonly clock: Clock;
  /** Ends whatever is under way. */
  readonly signal: AbortSignal;
}): DemoClient {
  const { url, clock, signal } = options;
  const authorization: Record<string, string> =
    options.key === undefined ? {} : { authorization: `Bearer ${options.key}` };

  const send = async <T>(path: string, read: (answer: Response) => Promise<T>, init: RequestInit = {}): Promise<T> => {
    const answer = await fetch(`${url}${path}`, {
      ...init,
      headers: { ...authorization, ...init.headers },
      signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_MS)]),
    });
    if (answer.ok) return read(answer);
    const problem = (await answer.json().catch(() => ({}))) as Problem;
    const reasons = (problem.errors ?? []).flatMap(({ detail }) => detail ?? []);
    throw new RefusedError(
      answer.status,
      [
        problem.detail ?? `The API answered ${answer.status}.`,
        ...reasons.filter((reason) => reason !== problem.detail),
      ].join('\n  '),
    );
  };

  // A request with a key of its own does not do anything twice, so all of them may be repeated.
  const ask: typeof send = async (path, read, init) => {
    const until = clock.now() + PATIENCE_MS;
    for (;;) {
      try {
        return await send(path, read, init);
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof RefusedError && !PASSING.has(error.status)) throw new DemoError(error.message);
        if (clock.now() > until) throw new DemoError(`The API at ${url} does not answer: ${reasonOf(error)}`);
        await clock.sleep(PAUSE_MS, signal);
      }
    }
  };
  const askJson = <T>(path: string) => ask(path, (answer) => answer.json() as Promise<T>);

  const post = <T>({ csv, options: given }: Upload, more: Readonly<Record<string, string>>) =>
    ask(`/v1/batches?${new URLSearchParams({ ...given, ...more })}`, (answer) => answer.json() as Promise<T>, {
      method: 'POST',
      headers: { 'content-type': 'text/csv; charset=utf-8', 'idempotency-key': randomUUID() },
      body: csv,
    });

  return {
    dryRun: (upload) => post<Findings>(upload, { dry_run: 'true' }),
    createBatch: (upload) => post<BatchView>(upload, {}),
    batch: (id) => askJson<BatchView>(`/v1/batches/${id}`),
    batches: async (statuses) => {
      const pages = await Promise.all(
        statuses.map((status) =>
          askJson<{ readonly data: readonly BatchView[] }>(`/v1/batches?status=${status}&limit=100`),
        ),
      );
      return pages.flatMap(({ data }) => data);
    },
    credits: () => askJson<CreditsView>('/v1/credits'),
    results: async (id) => {
      const text = await ask(`/v1/batches/${id}/results.ndjson`, (answer) => answer.text());
      return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as ResultRow]));
    },
    image: (batch, row) =>
      ask(`/v1/jobs/${rowJobId(batch, row)}/image`, async (answer) => new Uint8Array(await answer.arrayBuffer())),
  };
}

/** The API said no. */
class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Of what `fetch` throws only the cause says something. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}
