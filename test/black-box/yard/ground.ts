/** What can be started: the three services, and a receiver of webhooks that is the suite's own. */
type ProgramName = 'api' | 'worker' | 'simulator' | 'receiver';

/** A running program, as a process or as a container. */
export interface Program {
  readonly name: ProgramName;
  /** Where the test reaches it; not of a worker, which has no such port. */
  readonly url: string;
  /** Where the test reaches what it tells to those who watch over it (`METRICS_PORT`); api and worker only. */
  readonly operationsUrl: string;
  /** Where the other programs reach it. */
  readonly peerUrl: string;
  /** What it wrote so far, standard output and error, line by line. */
  readonly lines: readonly string[];
  /** The code that it ended with; 128 and the number of the signal that ended it, as shells count. */
  readonly exited: Promise<number>;
  /** SIGTERM as `kill` or `docker kill` sends it; SIGKILL takes all of it. */
  signal(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** Asks it to end, and kills it after so many milliseconds; what `docker stop` does. */
  stop(graceMs: number): Promise<void>;
  /** A request from the program's own machine, for what is served to nobody else. */
  fromWithin(method: string, path: string, body?: unknown): Promise<{ status: number; text: string }>;
  /** The container it runs in; undefined for a process. */
  readonly container?: Container;
  /** Leaves nothing of it. */
  remove(): Promise<void>;
}

/** What can be asked of a container. */
export interface Container {
  /** Runs a command in it. */
  run(command: readonly string[]): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }>;
  /** What `docker inspect` says. */
  // biome-ignore lint/suspicious/noExplicitAny: the engine's own description, looked at by the tests
  inspect(): Promise<any>;
}

/** Settings as a user writes them. */
export type Settings = Readonly<Record<string, string>>;

/** Where programs run: on this machine, or in containers of the built image. */
export interface Ground {
  /** The settings by which programs find Redis and the S3 server of the run. */
  readonly servers: Settings;
  /** The networks in which the receiver lies, for `WEBHOOK_ALLOW_CIDRS`. */
  readonly networks: string;
  /** Where a program that is about to be started will be found, which others have to be told before. */
  place(name: ProgramName): Promise<Place>;
  /** Resolves when it answers, or, for a worker, when its process runs. @throws when it ends before. */
  start(place: Place, settings: Settings): Promise<Program>;
}

/** A place for one program. */
export interface Place {
  readonly name: ProgramName;
  readonly url: string;
  readonly peerUrl: string;
  /** What only the ground reads. */
  readonly ports: { readonly main: number; readonly operations: number };
  readonly id: string;
}

/** How long a program may take until it answers, on a machine under load. */
export const START_MS = 60_000;

/** How long a whole yard may take, image and servers aside. */
export const YARD_MS = 180_000;
