import { createServer, type Server } from 'node:http';
import { systemClock } from '@renderyard/shared/clock';
import type { Logger } from '@renderyard/shared/logger';
import { createControl } from './control.ts';
import { createPainter } from './image/painter.ts';
import type { SimulatorOptions } from './options.ts';
import { createUpstream } from './upstream.ts';
import { createWorld } from './world.ts';

export type { SimulatorOptions } from './options.ts';

/** A simulator that listens. */
export interface Simulator {
  /** Such as `http://127.0.0.1:8090`, without a slash at its end. */
  readonly url: string;
  /** Stops listening and cuts every connection, hung ones too. Renders not billed yet never are. */
  close(): Promise<void>;
}

/** Longer than clients keep an idle connection, so that none is closed just as it is used again. */
const KEEP_ALIVE_MS = 75_000;

/** What belongs to the control endpoints and the page, and not to the upstream. */
function isControl(url: string | undefined): boolean {
  return /^\/(?:control(?:[/?]|$)|$|\?)/.test(url ?? '');
}

function listen(server: Server, port: number, host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      const address = server.address();
      const bound = typeof address === 'object' && address !== null ? address.port : port;
      const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host.includes(':') ? `[${host}]` : host;
      resolve(`http://${name}:${bound}`);
    });
  });
}

/**
 * Starts a simulator of the upstream's v1. Without options it takes a free port on 127.0.0.1, answers at once, and has a
 * balance of 10 credits.
 * @throws what `listen` of `node:net` does, such as EADDRINUSE; a FaultRuleError for a rule that cannot be used, and a
 * RangeError for latencies that no distribution has.
 */
export async function startSimulator(options: SimulatorOptions = {}, logger?: Logger): Promise<Simulator> {
  let world = createWorld(options, systemClock);
  const painter = createPainter();
  const upstream = createUpstream({ world: () => world, clock: systemClock, painter, logger });
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS });
  const control = createControl({
    server,
    painter,
    world: () => world,
    reset: () => {
      world.stop();
      world = createWorld(options, systemClock);
    },
  });
  await control.ready();
  server.on('request', (request, response) => {
    if (options.control !== false && isControl(request.url)) control.routing(request, response);
    else void upstream(request, response);
  });
  const url = await listen(server, options.port ?? 0, options.host ?? '127.0.0.1');
  return {
    url,
    close: async () => {
      world.stop();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}
