/** An S3-compatible server that checks signatures. Path style, as its host has no wildcard name. */
export interface S3Server {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

declare module 'vitest' {
  /** What `inject(name)` gives in a test. */
  interface ProvidedContext {
    /** One Redis for the whole run, shared by all files: use keys of your own, and never flush it. */
    redisUrl: string;
    /** One S3 server for the whole run, started by the first connection to it. `freshBucket` is the way to it. */
    s3: S3Server;
  }
}
