import { randomBytes } from 'node:crypto';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { inject } from 'vitest';
import { createContainerGround } from './container-ground.ts';
import { type Ground, type Program, type Settings, START_MS } from './ground.ts';
import { createLocalGround } from './local-ground.ts';
import { until } from './until.ts';

/** A webhook as it arrived. */
export interface Received {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

// biome-ignore lint/suspicious/noExplicitAny: JSON as it came over the wire, looked at by the tests
export type Json = any;

/** One request of a user. */
interface Call {
  /** JSON, unless it is text. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** The key that is sent; null sends none. The account `shop` if left out. */
  readonly key?: string | null;
}

/** A whole Renderyard: API, workers, simulator, a bucket and a receiver of webhooks. Use it with `await using`. */
export interface Yard extends AsyncDisposable {
  readonly api: Program;
  /** Those that were started, the killed ones too. */
  readonly workers: readonly Program[];
  readonly simulator: Program;
  readonly receiver: Program;
  readonly bucket: { readonly name: string; readonly s3: S3Client };
  /** Two accounts, and the prompts' secret things: what no log may show. */
  readonly keys: { readonly shop: string; readonly other: string };
  readonly upstreamKey: string;
  call(method: string, path: string, call?: Call): Promise<Response>;
  /** The body of an answer that is 2xx. @throws for any other. */
  json(method: string, path: string, call?: Call): Promise<Json>;
  /** What the simulator has billed, the oldest first. */
  ledger(): Promise<{ prompt: string; cost: number; image_sha256: string }[]>;
  /** A control endpoint of the simulator. */
  control(method: string, path: string, body?: unknown): Promise<Json>;
  received(path: string): Promise<Received[]>;
  startWorker(): Promise<Program>;
  /** Starts another API with the same settings, where the one before was. */
  restartApi(): Promise<void>;
}

/** Small and quick images, unless a test says otherwise. */
export const SMALL = { width: 64, height: 64, steps: 10 };

function chooseGround(healthChecks: boolean): Ground {
  const place = inject('blackBox');
  const s3 = inject('s3');
  const common = {
    AWS_REGION: s3.region,
    AWS_ACCESS_KEY_ID: s3.accessKeyId,
    AWS_SECRET_ACCESS_KEY: s3.secretAccessKey,
    S3_FORCE_PATH_STYLE: 'true',
  };
  return place.kind === 'containers'
    ? createContainerGround({ ...place, healthChecks }, common)
    : createLocalGround({ ...common, REDIS_URL: inject('redisUrl'), AWS_ENDPOINT_URL_S3: s3.endpoint });
}

async function makeBucket(name: string): Promise<S3Client> {
  const { endpoint, region, ...credentials } = inject('s3');
  const s3 = new S3Client({
    endpoint,
    region,
    credentials,
    forcePathStyle: true,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  await s3.send(new CreateBucketCommand({ Bucket: name }));
  return s3;
}

/** Starts it; resolves when API and workers say that they are ready. */
export async function startYard({
  settings = {},
  simulator: simulatorSettings = {},
  workers: count = 1,
  healthChecks = false,
}: {
  readonly settings?: Settings;
  readonly simulator?: Settings;
  readonly workers?: number;
  /** For containers: whether the engine looks after their health. */
  readonly healthChecks?: boolean;
} = {}): Promise<Yard> {
  const ground = chooseGround(healthChecks);
  const id = randomBytes(6).toString('hex');
  const secret = () => randomBytes(24).toString('hex');
  const keys = { shop: secret(), other: secret() };
  const upstreamKey = `SG_${secret()}`;
  const bucket = { name: `black-box-${id}`, s3: await makeBucket(`black-box-${id}`) };
  const [apiPlace, simulatorPlace, receiverPlace] = await Promise.all([
    ground.place('api'),
    ground.place('simulator'),
    ground.place('receiver'),
  ]);
  const all: Settings = {
    ...ground.servers,
    REDIS_PREFIX: `black-box-${id}`,
    S3_BUCKET: bucket.name,
    SECRET_KEY: randomBytes(32).toString('base64'),
    SEGMIND_API_KEY: upstreamKey,
    SEGMIND_BASE_URL: simulatorPlace.peerUrl,
    PUBLIC_URL: apiPlace.url,
    SEGMIND_RPM: '6000',
    RENDER_BACKOFF_MS: '20',
    CREDIT_PROBE_MS: '500',
    CREDIT_LOW: '0',
    LOCK_MS: '2000',
    WEBHOOK_ALLOW_CIDRS: ground.networks,
    WEBHOOK_SCHEDULE_S: '0,1,1,1',
    RENDERYARD_API_KEYS: `shop:${keys.shop},other:${keys.other}`,
    ...settings,
  };
  const started: Program[] = [];
  const run = async (...args: Parameters<Ground['start']>) => {
    const program = await ground.start(...args);
    started.push(program);
    return program;
  };
  const ready = async (program: Program) => {
    let said = '';
    const look = async () => {
      const answer = await fetch(new URL('/health/ready', program.operationsUrl));
      said = await answer.text();
      return answer.status === 200;
    };
    const state = () => `${said}\n${program.lines.slice(-10).join('\n')}`;
    const ended = program.exited.then((code) => {
      throw new Error(`The ${program.name} ended with ${code} before it was ready. ${state()}`);
    });
    const answered = until(`${program.name} is ready`, () => look().catch(() => false), {
      patienceMs: START_MS,
      state,
    });
    await Promise.race([answered, ended]);
    return program;
  };
  const startWorker = async () => ready(await run(await ground.place('worker'), all));
  const startApi = async () => ready(await run(apiPlace, all));
  const dispose = async () => {
    await Promise.all(started.map((program) => program.remove()));
    bucket.s3.destroy();
  };
  const starting = [
    startApi(),
    run(simulatorPlace, { SIMULATOR_LATENCY_MS: '150', ...simulatorSettings }),
    run(receiverPlace, {}),
  ] as const;
  const startingWorkers = Array.from({ length: count }, startWorker);
  const allOfThem = Promise.all([...starting, Promise.all(startingWorkers)]);
  let [api, simulator, receiver, workers] = await allOfThem.catch(async (error: unknown) => {
    // One that still starts could not be removed.
    await Promise.allSettled([...starting, ...startingWorkers]);
    await dispose();
    throw error;
  });

  const call: Yard['call'] = (method, path, { body, headers = {}, key = keys.shop } = {}) =>
    fetch(new URL(path, api.url), {
      method,
      headers: {
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined || typeof body === 'string' ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
  const control: Yard['control'] = async (method, path, body) => {
    const { status, text } = await simulator.fromWithin(method, `/control/${path}`, body);
    if (status >= 300) throw new Error(`${method} /control/${path}: ${status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  };
  return {
    get api() {
      return api;
    },
    get workers() {
      return workers;
    },
    simulator,
    receiver,
    bucket,
    keys,
    upstreamKey,
    call,
    json: async (method, path, options) => {
      const answer = await call(method, path, options);
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
      return answer.json();
    },
    ledger: async () => (await control('GET', 'ledger?limit=10000')).data,
    control,
    received: async (path) => {
      const all = (await (await fetch(new URL('/received', receiver.url))).json()) as Received[];
      return all.filter((one) => one.path === path);
    },
    startWorker: async () => {
      const worker = await startWorker();
      workers = [...workers, worker];
      return worker;
    },
    restartApi: async () => {
      await api.exited;
      api = await startApi();
    },
    [Symbol.asyncDispose]: dispose,
  };
}
