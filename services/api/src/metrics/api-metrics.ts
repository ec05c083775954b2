import { STATUS_CODES } from 'node:http';
import type { Metrics } from '@renderyard/shared/metrics/metrics';

/** From a read of Redis to an upload of a minute; streams last for longer. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
/** The route of a request that no route takes. */
export const NO_ROUTE = 'none';
/** What nginx writes for a client that closed its connection before it was answered. */
export const CLIENT_LEFT = 499;

/** What an API process counts of its own work. */
export interface ApiMetrics {
  /** Makes a route known, by its pattern; requests to others are counted under `other`. */
  addRoute(pattern: string): void;
  requestEnded(request: {
    readonly method: string;
    readonly route: string;
    readonly status: number;
    readonly seconds: number;
  }): void;
  /** Says how many streams of events are open. */
  watchStreams(open: () => number): void;
}

export function createApiMetrics(metrics: Metrics): ApiMetrics {
  const routes = new Set([NO_ROUTE]);
  const statuses = new Set([...Object.keys(STATUS_CODES), String(CLIENT_LEFT)]);
  const methods = new Set(METHODS);
  const requests = metrics.counter({
    name: 'renderyard_http_requests_total',
    help: 'Requests that are over, by the pattern of their route; 499 is a client that left before its answer.',
    labels: { method: methods, route: routes, status: statuses },
    // There would be thousands.
    begins: false,
  });
  const seconds = metrics.histogram({
    name: 'renderyard_http_request_duration_seconds',
    help: 'How long a request took, to the last byte of its answer; streams of events last as long as they are open.',
    labels: { method: methods, route: routes },
    buckets: SECONDS,
  });
  const streams = metrics.gauge<never>({
    name: 'renderyard_live_streams',
    help: 'Streams of events that are open.',
    labels: {},
  });
  let open = () => 0;
  metrics.beforeReading(() => streams.set({}, open()));
  return {
    addRoute: (pattern) => void routes.add(pattern),
    requestEnded({ method, route, status, seconds: took }) {
      requests.add({ method, route, status: String(status) });
      seconds.observe({ method, route }, took);
    },
    watchStreams(count) {
      open = count;
    },
  };
}
