/** An S3-compatible server that checks signatures. Path style, as its host has no wildcard name. */
export interface S3Server {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/**
 * Where the black-box suite runs Renderyard: as processes of this machine beside the run's servers, or as containers of
 * the built image in the network of the run's servers, which have these addresses there.
 */
export type BlackBoxPlace =
  | { readonly kind: 'local' }
  | {
      readonly kind: 'containers';
      /** The image, as the engine knows it. */
      readonly image: string;
      readonly network: string;
      readonly redisUrl: string;
      readonly s3Endpoint: string;
    };

declare module 'vitest' {
  /** What `inject(name)` gives in a test. */
  interface ProvidedContext {
    /** One Redis for the whole run, shared by all files: use keys of your own, and never flush it. */
    redisUrl: string;
    /** One S3 server for the whole run, started by the first connection to it. `freshBucket` is the way to it. */
    s3: S3Server;
    /** The engine's network in which the run's servers are; null where they are processes of this machine. */
    network: string | null;
    /** For the black-box suite alone. */
    blackBox: BlackBoxPlace;
  }
}
