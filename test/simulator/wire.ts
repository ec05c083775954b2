import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { KEY, MODEL } from './simulate.ts';

/** What came over a connection, and how it ended: `end` is an orderly end, otherwise the error's code. */
export interface Received {
  readonly bytes: Buffer;
  readonly ended: string;
}

/** A request for a render as it goes over the wire. */
export function rawRequest(body: string, headers: readonly string[] = []): string {
  const lines = [
    `POST /v1/${MODEL} HTTP/1.1`,
    'host: 127.0.0.1',
    `x-api-key: ${KEY}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    ...headers,
  ];
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

/** A connection of the test's own, destroyed when the test is over. */
export async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  return socket;
}

/** Everything that comes until the connection ends, by whichever side. */
export function drain(socket: Socket): Promise<Received> {
  const chunks: Buffer[] = [];
  return new Promise((resolve) => {
    const done = (ended: string) => resolve({ bytes: Buffer.concat(chunks), ended });
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.once('end', () => done('end'));
    socket.once('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
    socket.once('close', () => done('close'));
  });
}

/** Sends text over a new connection and takes what comes back until its end. */
export async function exchange(port: number, text: string): Promise<Received> {
  const socket = await open(port);
  const received = drain(socket);
  socket.write(text);
  return received;
}

/** The head of an answer as text, and its body as it came, with whatever framing it has. */
export function split({ bytes }: Received): { readonly head: string; readonly body: Buffer } {
  const at = bytes.indexOf('\r\n\r\n');
  return { head: bytes.subarray(0, at).toString('latin1'), body: bytes.subarray(at + 4) };
}
