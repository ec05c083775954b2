import type { S3Server } from './provided.ts';

export type Keys = Pick<S3Server, 'accessKeyId' | 'secretAccessKey'>;

/** A running S3 server, wherever it came from. */
export interface RunningS3 {
  readonly host: string;
  readonly port: number;
  stop(): Promise<void>;
}
