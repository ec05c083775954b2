import { expect, test } from 'vitest';
import { manifest, WORKLOADS } from './manifests.ts';
import { podSecurityProblems } from './pod-security.ts';

test('the namespace refuses what is not restricted', () => {
  expect(manifest('Namespace', 'renderyard').metadata.labels).toMatchObject({
    'pod-security.kubernetes.io/enforce': 'restricted',
  });
});

test.each(WORKLOADS.map(({ metadata: { name }, spec }) => [name, spec.template.spec] as const))(
  'the pods of %s keep to the restricted standard, and beyond it',
  (_, pod) => {
    expect(podSecurityProblems(pod)).toEqual([]);
    // The standard asks for none of these.
    expect(pod.automountServiceAccountToken).toBe(false);
    expect(pod.securityContext.runAsUser).toBeGreaterThan(0);
    for (const { securityContext, resources } of pod.containers) {
      expect(securityContext.readOnlyRootFilesystem).toBe(true);
      expect(resources.limits.memory).toBeDefined();
      expect(resources.requests.cpu).toBeDefined();
    }
    for (const { name, emptyDir } of pod.volumes)
      if (emptyDir !== undefined)
        expect([name, emptyDir.sizeLimit]).toEqual([name, expect.stringMatching(/^\d+[MG]i$/)]);
  },
);

// biome-ignore lint/suspicious/noExplicitAny: each breaks something else.
const breaks: readonly (readonly [what: string, change: (pod: any) => void])[] = [
  ['hostNetwork is set', (pod) => Object.assign(pod, { hostNetwork: true })],
  ['hostPID is set', (pod) => Object.assign(pod, { hostPID: true })],
  ['the volume disk is a hostPath', (pod) => pod.volumes.push({ name: 'disk', hostPath: { path: '/' } })],
  [
    'the sysctl kernel.msgmax is set',
    (pod) => Object.assign(pod.securityContext, { sysctls: [{ name: 'kernel.msgmax' }] }),
  ],
  ['the pod runs as user 0', (pod) => Object.assign(pod.securityContext, { runAsUser: 0 })],
  ['worker need not run as another user than root', (pod) => delete pod.securityContext.runAsNonRoot],
  ['worker has no seccomp profile', (pod) => delete pod.securityContext.seccompProfile],
  ['worker is privileged', ({ containers: [c] }) => Object.assign(c.securityContext, { privileged: true })],
  ['worker may gain privileges', ({ containers: [c] }) => delete c.securityContext.allowPrivilegeEscalation],
  ['worker does not drop ALL capabilities', ({ containers: [c] }) => delete c.securityContext.capabilities],
  [
    'worker has the capability NET_RAW',
    ({ containers: [c] }) => Object.assign(c.securityContext.capabilities, { add: ['NET_RAW'] }),
  ],
  ['worker takes a port of the host', ({ containers: [c] }) => Object.assign(c.ports[0], { hostPort: 80 })],
  [
    'a probe of worker names a host',
    ({ containers: [c] }) => Object.assign(c.livenessProbe.httpGet, { host: '10.0.0.1' }),
  ],
  [
    'root does not drop ALL capabilities',
    (pod) =>
      Object.assign(pod, { initContainers: [{ name: 'root', securityContext: { allowPrivilegeEscalation: false } }] }),
  ],
  [
    'the pod has SELinux options of its own',
    (pod) => Object.assign(pod.securityContext, { seLinuxOptions: { type: 'spc_t' } }),
  ],
];

test.each(breaks)('it is noticed when %s', (what, change) => {
  const pod = structuredClone(manifest('Deployment', 'renderyard-worker').spec.template.spec);
  change(pod);
  expect(podSecurityProblems(pod)).toEqual([what]);
});
