/** A verified image, not yet stored: in memory, or in a spool file where it is large. */
export interface ReceivedImage {
  readonly body: Uint8Array | { readonly path: string; readonly bytes: number };
  readonly bytes: number;
  /** Of the bytes, in hex. */
  readonly sha256: string;
  readonly contentType: string;
  /** Without a dot: `jpg`, `png`, … */
  readonly extension: string;
  readonly width: number;
  readonly height: number;
  /** Removes the spool file, if there is one. Safe to call twice. */
  discard(): Promise<void>;
}
