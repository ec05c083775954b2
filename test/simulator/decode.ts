import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

interface Decoded {
  readonly format: string;
  readonly width: number;
  readonly height: number;
}

interface Decoder {
  metadata(): Promise<Decoded>;
  raw(): { toBuffer(): Promise<Buffer> };
}

// The decoder is a dependency of the simulator, not of the tests, so it is found from there.
const fromSimulator = createRequire(fileURLToPath(import.meta.resolve('@renderyard/simulator/simulator')));
const sharp: (bytes: Uint8Array, options: { failOn: string }) => Decoder = fromSimulator('sharp');

/** The form of an image and its pixels; every warning of the decoder counts as a failure. */
export async function decode(bytes: Uint8Array): Promise<Decoded & { readonly pixels: Buffer }> {
  const { format, width, height } = await sharp(bytes, { failOn: 'warning' }).metadata();
  return { format, width, height, pixels: await sharp(bytes, { failOn: 'warning' }).raw().toBuffer() };
}
