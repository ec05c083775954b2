import type { IncomingMessage } from 'node:http';
import { isLoopbackAddress, isLoopbackHost } from './loopback.ts';

/** What the browser says of where a request comes from (Fetch Metadata, `Sec-Fetch-Site`), when it is no foreign page. */
const OWN = new Set(['none', 'same-origin']);

function isForeign({ headers }: IncomingMessage): boolean {
  const site = headers['sec-fetch-site'];
  if (typeof site === 'string' && !OWN.has(site)) return true;
  const { origin, host } = headers;
  if (origin === undefined) return false;
  return !URL.canParse(origin) || new URL(origin).host !== URL.parse(`http://${host}`)?.host;
}

/**
 * Why the control endpoints do not answer a request, or undefined when they do. They are for this machine alone, and not
 * for pages of other sites: those can send a request without asking, also where they may not read its answer. The page
 * itself does nothing, so that a link may lead to it from anywhere.
 */
export function refusalOf(request: IncomingMessage, isPage: boolean): string | undefined {
  if (!isLoopbackHost(request.headers.host))
    return 'The control endpoints answer on loopback hosts only, such as localhost.';
  if (!isLoopbackAddress(request.socket.remoteAddress))
    return 'The control endpoints answer callers on the same machine only.';
  if (!isPage && isForeign(request)) return 'The control endpoints answer no pages of other sites.';
  return undefined;
}
