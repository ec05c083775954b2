import type { Server } from 'node:http';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { balanceBody, keysBody, modelsBody } from './control-bodies.ts';
import { refusalOf } from './control-guard.ts';
import { showCalls, showLedger, showState } from './control-views.ts';
import { creditsNumber, formatCredits, parseCredits } from './credits.ts';
import { FaultRuleError, parseFaultRules } from './fault-rules.ts';
import { type FormError, problemOf } from './form-problem.ts';
import type { Painter } from './image/painter.ts';
import { PAGE } from './page.ts';
import { pictureOf } from './picture.ts';
import { parametersOf } from './records.ts';
import type { World } from './world.ts';

const USUAL_LIMIT = 1000;
const MOST_LIMIT = 10_000;

/** Thrown for a request that the control endpoints cannot follow; answered with 400. */
class ControlRequestError extends Error {
  override readonly name = 'ControlRequestError';
  readonly statusCode = 400;
}

interface Form<T> {
  Check(value: unknown): value is T;
  Errors(value: unknown): readonly FormError[];
}

function bodyOf<T>(request: FastifyRequest, form: Form<T>): T {
  const { body } = request;
  if (form.Check(body)) return body;
  throw new ControlRequestError(`The body is wrong ${problemOf(form.Errors(body))}`);
}

function pageOf(request: FastifyRequest): { after: number; limit: number; bodies: boolean } {
  const query = request.query as Readonly<Record<string, unknown>>;
  const whole = (name: string, fallback: number, least: number, most: number) => {
    const value = query[name] ?? String(fallback);
    if (typeof value !== 'string' || !/^\d{1,15}$/.test(value) || Number(value) < least || Number(value) > most)
      throw new ControlRequestError(`${name} must be a whole number from ${least} to ${most}.`);
    return Number(value);
  };
  return {
    after: whole('after', 0, 0, Number.MAX_SAFE_INTEGER),
    limit: whole('limit', USUAL_LIMIT, 1, MOST_LIMIT),
    bodies: query.bodies === 'true',
  };
}

/**
 * The control endpoints and the page, which only this machine reaches. `server` is the one they listen on: what is theirs
 * is told apart by its path before it comes here.
 */
export function createControl(options: {
  readonly server: Server;
  readonly world: () => World;
  readonly reset: () => void;
  readonly painter: Painter;
}): FastifyInstance {
  const { world } = options;
  const app = Fastify({ serverFactory: () => options.server, bodyLimit: 16 * 1024 * 1024 });
  // Only JSON: a page of another site can send plain text without asking, and an old browser does not say whose it is.
  app.removeContentTypeParser('text/plain');

  app.addHook('onRequest', async (request, reply) => {
    const error = refusalOf(request.raw, request.routeOptions.url === '/');
    if (error !== undefined) await reply.code(403).send({ error });
  });
  app.setErrorHandler(async (error: Error & { statusCode?: number }, _request, reply: FastifyReply) => {
    const status = error instanceof FaultRuleError ? 400 : (error.statusCode ?? 500);
    return reply.code(status).send({ error: error.message });
  });
  app.setNotFoundHandler(async (request, reply) =>
    reply.code(404).send({ error: `There is no ${request.method} ${request.url.slice(0, 200)} here.` }),
  );

  app.get('/', async (_request, reply) =>
    reply
      .header(
        'content-security-policy',
        "default-src 'none'; img-src 'self' data:; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'",
      )
      .type('text/html; charset=utf-8')
      .send(PAGE),
  );
  app.get('/control/state', async () => showState(world()));
  app.get('/control/ledger', async (request) => {
    const { after, limit } = pageOf(request);
    return showLedger(world(), after, limit);
  });
  app.get('/control/calls', async (request) => {
    const { after, limit, bodies } = pageOf(request);
    return showCalls(world(), after, limit, bodies);
  });

  app.get('/control/faults', async () => ({ data: world().faults.list() }));
  app.post('/control/faults', async (request, reply) => {
    const rules = parseFaultRules(request.body);
    return reply.code(201).send({ ids: world().faults.add(rules) });
  });
  app.delete('/control/faults', async () => ({ removed: world().faults.remove() }));
  app.delete<{ Params: { id: string } }>('/control/faults/:id', async (request) => ({
    removed: world().faults.remove(request.params.id),
  }));

  app.post('/control/balance', async (request) => {
    const body = bodyOf(request, balanceBody);
    const { account } = world();
    if (body.set !== undefined) account.set(parseCredits(body.set));
    if (body.add !== undefined) account.add(parseCredits(body.add));
    const spent = body.spend === undefined ? 0n : account.spend(parseCredits(body.spend));
    if (body.spend_per_second !== undefined) account.spendPerSecond(parseCredits(body.spend_per_second));
    const { balance } = account.snapshot();
    return {
      balance: creditsNumber(balance),
      balance_exact: formatCredits(balance),
      spent: creditsNumber(spent),
      spent_exact: formatCredits(spent),
    };
  });
  app.post('/control/keys', async (request) => {
    world().keys.change(bodyOf(request, keysBody));
    return world().keys.summary();
  });
  app.post('/control/models', async (request) => {
    world().models.change(bodyOf(request, modelsBody));
    return { known: world().models.known(), retired: world().models.retired() };
  });
  app.post('/control/reset', async () => {
    options.reset();
    return showState(world());
  });

  /** The picture of a billed render, drawn again: nothing keeps it, and the same input gives the same bytes. */
  app.get<{ Params: { id: string } }>('/control/images/:id', async (request, reply) => {
    const entry = world().ledger.find((render) => render.requestId === request.params.id);
    if (entry === undefined)
      return reply.code(404).send({ error: 'No render that is kept in the ledger has this id.' });
    const parameters = parametersOf(entry);
    const image = await options.painter.paint(pictureOf(parameters, entry.seed, entry.image.atLeastBytes));
    return reply.type(`image/${parameters.image_format}`).send(image);
  });
  return app;
}
