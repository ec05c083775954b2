import { createControlClient } from '@renderyard/simulator/control-client';
import { type SimulatorOptions, startSimulator } from '@renderyard/simulator/simulator';
import { onTestFinished } from 'vitest';

export const MODEL = 'stable-diffusion-3.5-large-txt2img';
export const KEY = 'SG_0123456789abcdef';

/** What every call must have besides its prompt. */
export const REQUIRED = { sampler: 'euler', scheduler: 'sgm_uniform' } as const;

/** A small render: tests that do not look at pictures have no use for large ones. */
export const SMALL = { ...REQUIRED, width: 64, height: 64, steps: 30, base64: false } as const;

/** A simulator for one test, closed when the test is over, with a client for its control endpoints. */
export async function simulate(options: SimulatorOptions = {}) {
  const { url, close } = await startSimulator(options);
  onTestFinished(close);
  const control = createControlClient(url);
  const simulator = {
    url,
    control,
    close,
    port: Number(new URL(url).port),
    /** POSTs to the model; a text or bytes are sent as they are, anything else as JSON. */
    post: (body: unknown, headers: Record<string, string> = {}, signal?: AbortSignal): Promise<Response> =>
      fetch(`${url}/v1/${MODEL}`, {
        method: 'POST',
        headers: { 'x-api-key': KEY, 'content-type': 'application/json', ...headers },
        body:
          typeof body === 'string' || body instanceof Uint8Array
            ? (body as NonNullable<RequestInit['body']>)
            : JSON.stringify(body),
        ...(signal === undefined ? {} : { signal }),
      }),
    /** POSTs a small render. */
    render: (prompt: string, more: Record<string, unknown> = {}, signal?: AbortSignal): Promise<Response> =>
      simulator.post({ ...SMALL, prompt, ...more }, {}, signal),
    /** Resolves when the check is true; asks for the state again and again, so no time is guessed. */
    until: async (check: () => Promise<boolean>): Promise<void> => {
      while (!(await check())) await new Promise((resolve) => setImmediate(resolve));
    },
  };
  return simulator;
}

export type Simulated = Awaited<ReturnType<typeof simulate>>;
