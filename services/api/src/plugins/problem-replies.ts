import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { describeError } from '@renderyard/shared/describe-error';
import { newId } from '@renderyard/shared/ids';
import type { Recovery } from '@renderyard/shared/recovery/recovery';
import type { Generation } from '@renderyard/shared/redis/generation';
import { GenerationLostError } from '@renderyard/shared/redis/script';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { App } from '../app-instance.ts';
import { PROBLEM_TYPE, problemDocument, problemHeaders } from '../errors/problem-document.ts';
import { ProblemError } from '../errors/problem-error.ts';
import { asStarting } from '../errors/starting-problem.ts';
import { toProblem } from '../errors/to-problem.ts';
import { securityHeaders } from './security-headers.ts';

/** How long a client has to take the answer on a connection that is given up. */
const LINGER_MS = 1_000;

/** Answers every error with a problem document, also what Fastify finds wrong before a route is chosen. */
export function addProblemReplies(
  app: App,
  { generation, recovery }: { readonly generation: Generation; readonly recovery: Recovery },
): void {
  app.setErrorHandler(async (thrown, request, reply) => {
    const lost = (await isLost(thrown)) ? new GenerationLostError('Redis was emptied or replaced') : thrown;
    const error = asStarting(lost, recovery);
    // An emptied Redis has no mark: it is rebuilt, and requests are served again after that. The watch tells of failures.
    if (toProblem(error).code === 'redis_replaced') {
      recovery.ensure().catch(() => undefined);
      // Its first look comes before this one: whoever reads our answer and asks again finds it noticed.
      await generation.find().catch(() => undefined);
    }
    return sendProblem(error, request, reply);
  });

  /** Whether something was not found, or not in the state for it, only because Redis was emptied a moment ago. */
  async function isLost(error: unknown): Promise<boolean> {
    if (!(error instanceof ProblemError) || ![404, 409].includes(error.statusCode)) return false;
    return (await generation.find().catch(() => undefined)) === 'missing';
  }

  const methodsOf = collectRoutes(app);
  app.setNotFoundHandler((request, reply) => {
    const path = pathOf(request.url);
    const allowed = methodsOf(path);
    return sendProblem(
      allowed.length > 0
        ? new ProblemError('method_not_allowed', `${path} knows ${allowed.join(', ')}, not ${request.method}.`, {
            headers: { allow: allowed.join(', ') },
          })
        : new ProblemError('not_found', `There is nothing at ${path}.`),
      request,
      reply,
    );
  });
}

/** Sends whatever was thrown as a problem; what is the server's fault goes into the request's log record. */
export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = toProblem(error);
  if (request.record) {
    request.record.error_code = problem.code;
    const { cause } = problem.options;
    if (problem.statusCode >= 500 && cause !== undefined) request.record.err = describeError(cause);
  }
  return reply
    .code(problem.statusCode)
    .headers({ ...securityHeaders(), 'x-request-id': request.id, ...problemHeaders(problem) })
    .type(PROBLEM_TYPE)
    .send(problemDocument(problem, pathOf(request.url), request.id));
}

/** Answers bytes that are not HTTP, or that came too slowly, on the bare socket, and closes it within a second. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const code =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? 'headers_too_large'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? 'request_timeout'
        : 'malformed_http';
  const problem = new ProblemError(code);
  const id = newId('req');
  const body = problemDocument(problem, '', id);
  const headers = {
    ...securityHeaders(),
    'content-type': PROBLEM_TYPE,
    'content-length': String(Buffer.byteLength(body)),
    'x-request-id': id,
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  socket.end(
    `HTTP/1.1 ${problem.statusCode} ${STATUS_CODES[problem.statusCode]}\r\n${lines.join('\r\n')}\r\n\r\n${body}`,
  );
  // The client may keep its side open for ever. Closing at once could lose the answer: what it still sends resets it.
  const lingering = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.once('close', () => clearTimeout(lingering));
}

/** The path of a request's URL, without the query. */
export function pathOf(url: string): string {
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

/** Remembers every route, to tell which methods an address has. Must be called before routes are added. */
function collectRoutes(app: App): (path: string) => readonly string[] {
  const routes = new Map<string, { readonly pattern: RegExp; readonly methods: Set<string> }>();
  app.addHook('onRoute', ({ url, method }) => {
    const pattern = url
      .split('/')
      .map((part) => (part === '*' ? '.*' : part.startsWith(':') ? '[^/]+' : part.replaceAll('.', '\\.')))
      .join('/');
    const route = routes.get(url) ?? { pattern: new RegExp(`^${pattern}$`), methods: new Set() };
    for (const each of [method].flat()) route.methods.add(each);
    routes.set(url, route);
  });
  return (path) => [
    ...new Set([...routes.values()].filter(({ pattern }) => pattern.test(path)).flatMap(({ methods }) => [...methods])),
  ];
}
