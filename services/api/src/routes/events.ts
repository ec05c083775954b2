import type { Clock } from '@renderyard/shared/clock';
import { EVENT_TYPES } from '@renderyard/shared/webhook/event-type';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { App } from '../app-instance.ts';
import { ProblemError } from '../errors/problem-error.ts';
import { type Begin, eventSession } from '../live/event-session.ts';
import type { EventStreams } from '../live/event-streams.ts';
import { type LiveHistory, lookSince } from '../live/live-history.ts';
import type { LiveStream } from '../live/live-stream.ts';
import { sendEvents } from '../live/send-events.ts';
import type { Watched } from '../live/watched.ts';
import { watchedAccount } from '../live/watched-account.ts';
import { watchedBatch } from '../live/watched-batch.ts';
import { watchedJob } from '../live/watched-job.ts';
import { JobParams } from './job-params.ts';
import { answers } from './responses.ts';

/** What a stream can tell of, besides its `snapshot` and `reset`. */
const TYPES = ['job.queued', 'job.processing', ...EVENT_TYPES];
const ONE_TYPE = TYPES.join('|').replaceAll('.', '\\.');

/** The reading of what happens begins with the process; a client that comes at once waits for it for so long. */
const BEGIN_MS = 2_000;

const last_event_id = Type.Optional(
  Type.String({ maxLength: 100, description: 'For clients that cannot send the header Last-Event-ID.' }),
);
const rows = Type.Enum(['true', 'false'], {
  default: 'false',
  description: '`true`: the end of every row of a batch is an event.',
});
const strict = { additionalProperties: false };
const JobQuery = Type.Object({ last_event_id }, strict);
const BatchQuery = Type.Object({ last_event_id, rows }, strict);
const AccountQuery = Type.Object(
  {
    last_event_id,
    rows,
    types: Type.Optional(
      Type.String({
        pattern: `^(${ONE_TYPE})(,(${ONE_TYPE}))*$`,
        description: `only these, separated by commas, of ${TYPES.join(', ')}.`,
      }),
    ),
  },
  strict,
);

const response = answers({
  200: Type.String({ contentMediaType: 'text/event-stream', description: 'What happens, as it happens.' }),
  204: Type.Null({ description: 'What is watched has ended, and the client has its last event.' }),
});

/**
 * `GET /v1/jobs/{id}/events`, `/v1/batches/{id}/events` and `/v1/events`: what happens, as server-sent events, from a
 * snapshot or from the last event that a client has.
 */
export function eventsRoutes(app: App, deps: EventStreams): void {
  const { views, clock } = deps;
  // A HEAD would never end.
  const route = { exposeHeadRoute: false };

  app.get(
    '/jobs/:id/events',
    { ...route, schema: { summary: 'Watch a job', params: JobParams, querystring: JobQuery, response } },
    async (request, reply) => {
      const { id } = request.params;
      request.record.job_id = id.slice(0, 40);
      const watched = watchedJob(id, request.account, views);
      return stream(deps, { request, reply, watched, query: request.query });
    },
  );

  app.get(
    '/batches/:id/events',
    { ...route, schema: { summary: 'Watch a batch', params: JobParams, querystring: BatchQuery, response } },
    async (request, reply) => {
      const { id } = request.params;
      request.record.batch_id = id.slice(0, 40);
      const watched = watchedBatch(id, request.account, { rows: request.query.rows === 'true' }, views);
      return stream(deps, { request, reply, watched, query: request.query });
    },
  );

  app.get(
    '/events',
    { ...route, schema: { summary: 'Watch all jobs and batches', querystring: AccountQuery, response } },
    async (request, reply) => {
      const { rows, types } = request.query;
      const wanted = types === undefined ? undefined : new Set(types.split(','));
      const options = { rows: rows === 'true', types: wanted };
      const watched = watchedAccount(request.account, options, { views, clock });
      return stream(deps, { request, reply, watched, query: request.query });
    },
  );
}

/** @throws {ProblemError} `redis_unavailable` where Redis was never there since the start. */
async function beginInTime(live: LiveStream, clock: Clock): Promise<void> {
  const begun = new AbortController();
  const late = clock.sleep(BEGIN_MS, begun.signal).then(() => {
    if (!begun.signal.aborted) throw new ProblemError('redis_unavailable', undefined, { retryAfter: 2 });
  });
  await Promise.race([live.begun.finally(() => begun.abort()), late]);
}

interface Client {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly watched: Watched;
  readonly query: { readonly last_event_id?: string };
}

async function stream(deps: EventStreams, { request, reply, watched, query }: Client): Promise<FastifyReply> {
  const { live, history, places, stallMs, clock } = deps;
  const leave = places.take(request.account);
  const gone = new AbortController();
  const end = () => {
    leave();
    gone.abort();
  };
  if (reply.raw.closed) end();
  else reply.raw.once('close', end);
  await beginInTime(live, clock);
  const header = request.headers['last-event-id'];
  const from = (Array.isArray(header) ? header[0] : header) || query.last_event_id;
  const begin = from ? await beginAt(from, watched, history) : ({ with: 'snapshot' } as const);
  if (begin === 'nothing more') return reply.code(204).send(null);
  const pieces = eventSession({ ...deps, live, history }, watched, { begin, gone: gone.signal });
  return sendEvents(request, reply, { pieces, stallMs });
}

/** How a client goes on that has been here before. A browser connects again after the end; only 204 has it stop. */
async function beginAt(from: string, watched: Watched, history: LiveHistory): Promise<Begin | 'nothing more'> {
  // Before anything else: it may be another account's.
  const { ended } = await watched.snapshot();
  const since = await lookSince(history, from, (entry) => {
    const { isEvent, progressOf } = watched.meaningOf(entry);
    // Of what goes on only the position is looked at here.
    return !ended || isEvent || progressOf !== undefined;
  });
  if (since === 'lost') return { with: 'reset' };
  return ended && since === 'nothing' ? 'nothing more' : { with: 'resume', from, ended };
}
