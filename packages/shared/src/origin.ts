/** Where a job or a batch comes from: what ties its lines in the log, and its spans, together. No client is shown it. */
export interface Origin {
  /** The id of the request that submitted it, `req_…`. Left out of what was submitted by an older version. */
  readonly request?: string | undefined;
  /** The span of that request (W3C Trace Context, `traceparent`), where it was traced. */
  readonly traceparent?: string | undefined;
}

/** An origin from fields of a Redis hash, or of an object in the store; undefined where they hold none. */
export function readOrigin({ request, traceparent }: Readonly<Record<string, unknown>> | Origin): Origin | undefined {
  const known = {
    ...(typeof request === 'string' ? { request } : {}),
    ...(typeof traceparent === 'string' ? { traceparent } : {}),
  };
  return 'request' in known || 'traceparent' in known ? known : undefined;
}

/** The fields of an origin that are known, by the names under which they are kept. */
export function originFields({ request, traceparent }: Origin = {}): Readonly<Record<string, string>> {
  return {
    ...(request === undefined ? {} : { request }),
    ...(traceparent === undefined ? {} : { traceparent }),
  };
}
