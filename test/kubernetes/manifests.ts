import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { REPOSITORY } from '../support/cache-folder.ts';

const FOLDER = join(REPOSITORY, 'deploy/kubernetes');

/** What is looked at of any object of Kubernetes. */
export interface Manifest {
  /** In deploy/kubernetes. */
  readonly file: string;
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Labels };
  // biome-ignore lint/suspicious/noExplicitAny: the schemas say what it is; the tests look into it as it was written.
  readonly spec?: any;
  readonly data?: Readonly<Record<string, string>>;
  readonly stringData?: Readonly<Record<string, string>>;
  readonly automountServiceAccountToken?: boolean;
}

export type Labels = Readonly<Record<string, string>>;

/** The documents of one file, as they were written. @throws {Error} for what is no YAML, or has a key twice. */
export function readDocuments(file: string): readonly unknown[] {
  return parseAllDocuments(readFileSync(join(FOLDER, file), 'utf8')).map((document) => {
    if (document.errors[0] !== undefined) throw new Error(`${file} is not valid YAML: ${document.errors[0].message}`);
    return document.toJS();
  });
}

/** Values of a chart, which are no object of Kubernetes. */
export const CHART_VALUES = 'optional/prometheus-adapter-values.yaml';

const FILES = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })
  .filter((file) => /\.ya?ml(\.example)?$/.test(file) && file !== CHART_VALUES)
  .sort();

/** All objects of deploy/kubernetes. */
export const MANIFESTS: readonly Manifest[] = FILES.flatMap((file) =>
  readDocuments(file).map((document) => ({ ...(document as Omit<Manifest, 'file'>), file })),
);

/** @throws {Error} when there is none, or more than one. */
export function manifest(kind: string, name: string): Manifest {
  const [found, second] = MANIFESTS.filter((each) => each.kind === kind && each.metadata.name === name);
  if (found === undefined || second !== undefined)
    throw new Error(`There is not one ${kind} ${name} in deploy/kubernetes.`);
  return found;
}

/** Those that run pods. */
export const WORKLOADS = MANIFESTS.filter(({ kind }) => ['Deployment', 'StatefulSet'].includes(kind));
