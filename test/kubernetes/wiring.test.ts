import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { REPOSITORY } from '../support/cache-folder.ts';
import { environmentOf } from './container-env.ts';
import { CHART_VALUES, type Labels, MANIFESTS, manifest, readDocuments, WORKLOADS } from './manifests.ts';

const PARTS = ['api', 'worker'] as const;
const podOf = (part: string) => manifest('Deployment', `renderyard-${part}`).spec.template.spec;
const { version } = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8')) as { readonly version: string };

test('all of it lies in one namespace, which is made first', () => {
  for (const { kind, metadata } of MANIFESTS)
    if (kind !== 'Namespace')
      expect([kind, metadata.name, metadata.namespace]).toEqual([kind, metadata.name, 'renderyard']);
});

test.each(PARTS)('the %s is the image of this version, told which of its services to be', (part) => {
  const [container] = podOf(part).containers;
  expect(container.image).toBe(`registry.example.com/renderyard:${version}`);
  expect(container.args).toEqual([part]);
});

test('no image is whatever is the latest', () => {
  for (const { spec } of WORKLOADS)
    for (const { image } of spec.template.spec.containers) expect(image).toMatch(/^[\w./-]+:\d+\.\d+[\w.-]*$/);
});

test.each(PARTS)('the ports of the %s are those that its settings name, and its probes ask there', (part) => {
  const [container] = podOf(part).containers;
  const env = environmentOf(`renderyard-${part}`);
  const ports = Object.fromEntries(
    container.ports.map((port: { name: string; containerPort: number }) => [port.name, String(port.containerPort)]),
  );
  expect(ports).toEqual({ metrics: env.METRICS_PORT, ...(part === 'api' ? { http: env.PORT } : {}) });
  expect(env.METRICS_HOST).toBe('0.0.0.0');
  expect(container.startupProbe.httpGet).toEqual({ path: '/health/live', port: 'metrics' });
  expect(container.livenessProbe.httpGet).toEqual({ path: '/health/live', port: 'metrics' });
  expect(container.readinessProbe.httpGet).toEqual({ path: '/health/ready', port: 'metrics' });
});

test.each(PARTS)('all that the %s writes goes to volumes that are there', (part) => {
  const pod = podOf(part);
  const volumes = new Map<string, Readonly<Record<string, unknown>>>(
    pod.volumes.map((volume: { name: string }) => [volume.name, volume]),
  );
  const mounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[] =
    pod.containers[0].volumeMounts;
  expect(mounts.map(({ name }) => name).sort()).toEqual([...volumes.keys()].sort());
  const writable = mounts.filter(({ readOnly }) => readOnly !== true).map(({ mountPath }) => mountPath);
  expect(writable.sort()).toEqual(['/tmp', environmentOf(`renderyard-${part}`).DATA_DIR].sort());
});

const fits = (selector: Labels, labels: Labels) =>
  Object.entries(selector).every(([name, value]) => labels[name] === value);

test('every selector finds the pods that it is for', () => {
  const pods = WORKLOADS.map(
    ({ metadata: { name }, spec }) => [name, spec.template.metadata.labels as Labels] as const,
  );
  const found = (selector: Labels) => pods.filter(([, labels]) => fits(selector, labels)).map(([name]) => name);
  for (const { metadata, spec } of WORKLOADS) expect(found(spec.selector.matchLabels)).toEqual([metadata.name]);
  const selected = (kind: string, name: string) => {
    const { selector, podSelector } = manifest(kind, name).spec;
    return found((selector ?? podSelector).matchLabels ?? selector ?? {});
  };
  expect(selected('Service', 'renderyard-api')).toEqual(['renderyard-api']);
  expect(selected('Service', 'redis')).toEqual(['redis']);
  expect(selected('PodDisruptionBudget', 'renderyard-api')).toEqual(['renderyard-api']);
  expect(selected('PodMonitor', 'renderyard').sort()).toEqual(['renderyard-api', 'renderyard-worker']);
  expect(selected('NetworkPolicy', 'renderyard').sort()).toEqual(['renderyard-api', 'renderyard-worker']);
  expect(selected('NetworkPolicy', 'renderyard-api')).toEqual(['renderyard-api']);
  expect(selected('NetworkPolicy', 'renderyard-worker')).toEqual(['renderyard-worker']);
  expect(selected('NetworkPolicy', 'redis')).toEqual(['redis']);
});

test('every port that is named is one of the pods', () => {
  const named = new Set<string>(
    WORKLOADS.flatMap(({ spec }) => spec.template.spec.containers).flatMap(({ ports }) =>
      ports.map(({ name }: { name: string }) => name),
    ),
  );
  const asked = [
    ...MANIFESTS.filter(({ kind }) => kind === 'Service').flatMap(({ spec }) =>
      spec.ports.map((p: { targetPort: string }) => p.targetPort),
    ),
    ...MANIFESTS.filter(({ kind }) => kind === 'NetworkPolicy')
      .flatMap(({ spec }) => spec.ingress ?? [])
      .flatMap(({ ports }) => ports.map((p: { port: string }) => p.port)),
    ...manifest('PodMonitor', 'renderyard').spec.podMetricsEndpoints.map((p: { port: string }) => p.port),
  ];
  expect(asked.length).toBeGreaterThan(5);
  expect(asked.filter((port) => !named.has(port))).toEqual([]);
});

test('both ways to scale scale the workers alike, to as many as find slots and never to none', () => {
  const { SEGMIND_CONCURRENCY, WORKER_CONCURRENCY } = environmentOf('renderyard-worker');
  const useful = Math.ceil(Number(SEGMIND_CONCURRENCY) / Number(WORKER_CONCURRENCY));
  const { spec: hpa } = manifest('HorizontalPodAutoscaler', 'renderyard-worker');
  const { spec: keda } = manifest('ScaledObject', 'renderyard-worker');
  expect(hpa.scaleTargetRef.name).toBe(manifest('Deployment', 'renderyard-worker').metadata.name);
  expect(keda.scaleTargetRef.name).toBe(hpa.scaleTargetRef.name);
  expect([hpa.minReplicas, hpa.maxReplicas]).toEqual([2, useful]);
  expect([keda.minReplicaCount, keda.maxReplicaCount]).toEqual([2, useful]);
  // Versions of KEDA refuse it with a metric of the type Value.
  expect(keda.fallback).toBeUndefined();
  expect(manifest('Deployment', 'renderyard-worker').spec.replicas).toBe(useful);
  expect(keda.advanced.horizontalPodAutoscalerConfig.behavior).toEqual(hpa.behavior);
  expect(keda.triggers[0].metadata.threshold).toBe(hpa.metrics[0].external.target.value);
});

test('the metric that is asked for is the one that is made', () => {
  const [values] = readDocuments(CHART_VALUES) as [{ readonly rules: { readonly external: readonly Rule[] } }];
  const [rule] = values.rules.external;
  const { name } = manifest('HorizontalPodAutoscaler', 'renderyard-worker').spec.metrics[0].external.metric;
  expect(rule?.name.as).toBe(name);
  const withLabels = (query: string, labels: string) => query.replaceAll('<<.LabelMatchers>>', labels);
  expect(withLabels(rule?.metricsQuery ?? '', 'namespace="renderyard"')).toBe(
    manifest('ScaledObject', 'renderyard-worker').spec.triggers[0].metadata.query,
  );
});

interface Rule {
  readonly name: { readonly as: string };
  readonly metricsQuery: string;
}
