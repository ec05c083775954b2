import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Environment } from '@renderyard/shared/settings';
import { manifest } from './manifests.ts';

/** What a container's environment names, in the order in which Kubernetes lays one over the other. */
interface EnvSource {
  readonly envFrom?: readonly {
    readonly configMapRef?: { readonly name: string };
    readonly secretRef?: { readonly name: string };
  }[];
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
}

/** The environment of the one container of a Deployment, with what ConfigMap and Secret have. */
export function environmentOf(deployment: string): Environment {
  const container: EnvSource = manifest('Deployment', deployment).spec.template.spec.containers[0];
  const values: Record<string, string> = {};
  for (const { configMapRef, secretRef } of container.envFrom ?? []) {
    if (configMapRef !== undefined) Object.assign(values, manifest('ConfigMap', configMapRef.name).data);
    if (secretRef !== undefined) Object.assign(values, manifest('Secret', secretRef.name).stringData);
  }
  for (const { name, value = '' } of container.env ?? []) values[name] = value;
  return values;
}

/**
 * The same with the mounted Secret written into a folder, as it is mounted, and its path in place of the mount's.
 * @param folder an empty one. @param secrets values of the Secret by key, in place of those of the example.
 */
export async function mountedEnvironment(
  deployment: string,
  folder: string,
  secrets: Readonly<Record<string, string>> = {},
): Promise<Environment> {
  const pod = manifest('Deployment', deployment).spec.template.spec;
  const values = { ...environmentOf(deployment) };
  for (const { name, secret } of pod.volumes as readonly SecretVolume[]) {
    if (secret === undefined) continue;
    const data = { ...manifest('Secret', secret.secretName).stringData, ...secrets };
    for (const { key, path } of secret.items) {
      const value = data[key];
      if (value === undefined) throw new Error(`The Secret ${secret.secretName} has no ${key}.`);
      await writeFile(join(folder, path), `${value}\n`);
    }
    const { mountPath } = pod.containers[0].volumeMounts.find((mount: { name: string }) => mount.name === name);
    for (const [variable, value] of Object.entries(values))
      if (value?.startsWith(`${mountPath}/`)) values[variable] = join(folder, value.slice(mountPath.length + 1));
  }
  return values;
}

interface SecretVolume {
  readonly name: string;
  readonly secret?: {
    readonly secretName: string;
    readonly items: readonly { readonly key: string; readonly path: string }[];
  };
}
