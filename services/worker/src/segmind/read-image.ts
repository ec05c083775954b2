import type { Dispatcher } from 'undici';
import type { AnswerHeaders } from './facts.ts';
import { readJpegFrame } from './jpeg-frame.ts';
import type { AnswerFacts, Outcome } from './outcome.ts';
import { createSpool, type Spool, type SpooledBody } from './spool.ts';
import { type Framing, type Verified, verifyImage } from './verify-image.ts';

/** Streams the body of a 200 through hash and cap and verifies it. Throws when it breaks off. */
export async function readImage(
  answer: Dispatcher.ResponseData,
  facts: AnswerFacts,
  id: string,
  options: { readonly maxImageBytes: number; readonly spoolFolder: string },
  holder: { current: Spool | undefined },
): Promise<Outcome> {
  const framing = framingOf(answer.headers);
  const length = framing === 'length' ? Number(answer.headers['content-length']) : undefined;
  if (length !== undefined && length > options.maxImageBytes) {
    answer.body.destroy();
    return { kind: 'too_large', facts };
  }
  const spool = createSpool({ folder: options.spoolFolder, name: id, cap: options.maxImageBytes, expected: length });
  holder.current = spool;
  for await (const chunk of answer.body) {
    if (!(await spool.write(chunk as Buffer))) {
      answer.body.destroy();
      await spool.discard();
      return { kind: 'too_large', facts };
    }
  }
  const received = await spool.end();
  const verified = await verify(received, framing);
  if (verified.ok) {
    const { body, bytes, sha256, discard } = received;
    return {
      kind: 'image',
      image: {
        body,
        bytes,
        sha256,
        discard,
        contentType: verified.contentType,
        extension: verified.extension,
        width: verified.width,
        height: verified.height,
      },
      facts,
    };
  }
  const decoded = decodeBase64Answer(received.body);
  await received.discard();
  if (decoded === undefined)
    return { kind: 'unknown', how: framing === 'close' ? 'cut' : 'bad_image', cause: verified.problem, facts };
  const inner = createSpool({
    folder: options.spoolFolder,
    name: id,
    cap: options.maxImageBytes,
    expected: decoded.length,
  });
  holder.current = inner;
  await inner.write(decoded);
  const image = await inner.end();
  const checked = await verify(image, framing);
  if (!checked.ok) {
    await image.discard();
    return { kind: 'unknown', how: 'bad_image', cause: checked.problem, facts };
  }
  return {
    kind: 'image',
    image: {
      ...image,
      contentType: checked.contentType,
      extension: checked.extension,
      width: checked.width,
      height: checked.height,
    },
    facts,
  };
}

async function verify(received: SpooledBody, framing: Framing): Promise<Verified> {
  const verified = verifyImage({ ...received, framing });
  const isJpeg = received.head[0] === 0xff && received.head[1] === 0xd8;
  if (verified.ok || !isJpeg || received.body instanceof Uint8Array) return verified;
  const frame = await readJpegFrame(received.body.path);
  return frame === undefined ? verified : verifyImage({ ...received, head: frame, framing });
}

/** `{"image": "<base64>"}`, as upstream answers `base64: true`, which we never ask for but would not throw away. */
function decodeBase64Answer(body: Uint8Array | { readonly path: string }): Buffer | undefined {
  if (!(body instanceof Uint8Array) || body[0] !== 0x7b) return undefined;
  try {
    const { image } = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8')) as {
      image?: unknown;
    };
    return typeof image === 'string' ? Buffer.from(image.replace(/^data:[^,]*,/, ''), 'base64') : undefined;
  } catch {
    return undefined;
  }
}

function framingOf(headers: AnswerHeaders): Framing {
  if (/chunked/i.test(String(headers['transfer-encoding'] ?? ''))) return 'chunked';
  return typeof headers['content-length'] === 'string' && /^\d{1,15}$/.test(headers['content-length'])
    ? 'length'
    : 'close';
}
