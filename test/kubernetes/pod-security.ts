/** What of a pod's description the standard speaks of. */
export interface PodSpec {
  readonly hostNetwork?: boolean;
  readonly hostPID?: boolean;
  readonly hostIPC?: boolean;
  readonly os?: { readonly name: string };
  readonly securityContext?: PodSecurity;
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly ephemeralContainers?: readonly Container[];
  readonly volumes?: readonly Readonly<Record<string, unknown>>[];
}

interface PodSecurity {
  readonly runAsNonRoot?: boolean;
  readonly runAsUser?: number;
  readonly seccompProfile?: { readonly type?: string };
  readonly appArmorProfile?: { readonly type?: string };
  readonly seLinuxOptions?: { readonly type?: string; readonly user?: string; readonly role?: string };
  readonly windowsOptions?: { readonly hostProcess?: boolean };
  readonly sysctls?: readonly { readonly name: string }[];
}

interface Container {
  readonly name: string;
  readonly ports?: readonly { readonly hostPort?: number }[];
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly startupProbe?: Probe;
  readonly lifecycle?: { readonly postStart?: Probe; readonly preStop?: Probe };
  readonly securityContext?: PodSecurity & {
    readonly privileged?: boolean;
    readonly allowPrivilegeEscalation?: boolean;
    readonly procMount?: string;
    readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] };
  };
}

interface Probe {
  readonly httpGet?: { readonly host?: string };
  readonly tcpSocket?: { readonly host?: string };
}

const VOLUMES = new Set(
  'configMap csi downwardAPI emptyDir ephemeral persistentVolumeClaim projected secret'.split(' '),
);
const SYSCTLS = new Set(
  'kernel.shm_rmid_forced net.ipv4.ip_local_port_range net.ipv4.ip_unprivileged_port_start net.ipv4.tcp_syncookies net.ipv4.ping_group_range net.ipv4.ip_local_reserved_ports net.ipv4.tcp_keepalive_time net.ipv4.tcp_fin_timeout net.ipv4.tcp_keepalive_intvl net.ipv4.tcp_keepalive_probes net.ipv4.tcp_rmem net.ipv4.tcp_wmem'.split(
    ' ',
  ),
);
const SELINUX = new Set([undefined, '', 'container_t', 'container_init_t', 'container_kvm_t', 'container_engine_t']);

/**
 * What the profile “restricted” of the Pod Security Standards has against a pod, one sentence each
 * (https://kubernetes.io/docs/concepts/security/pod-security-standards/).
 */
export function podSecurityProblems(pod: PodSpec): readonly string[] {
  const problems: string[] = [];
  const refuse = (wrong: boolean, what: string) => {
    if (wrong) problems.push(what);
  };
  for (const host of ['hostNetwork', 'hostPID', 'hostIPC'] as const) refuse(pod[host] === true, `${host} is set`);
  for (const { name, ...source } of pod.volumes ?? [])
    for (const type of Object.keys(source)) refuse(!VOLUMES.has(type), `the volume ${String(name)} is a ${type}`);
  for (const { name } of pod.securityContext?.sysctls ?? []) refuse(!SYSCTLS.has(name), `the sysctl ${name} is set`);
  refuseContext('the pod', pod.securityContext, refuse);
  for (const container of [...pod.containers, ...(pod.initContainers ?? []), ...(pod.ephemeralContainers ?? [])]) {
    const { name, securityContext: own = {} } = container;
    refuseContext(name, own, refuse);
    refuse(own.privileged === true, `${name} is privileged`);
    refuse(own.allowPrivilegeEscalation !== false, `${name} may gain privileges`);
    refuse((own.procMount ?? 'Default') !== 'Default', `${name} has another procMount`);
    refuse(!own.capabilities?.drop?.includes('ALL'), `${name} does not drop ALL capabilities`);
    for (const added of own.capabilities?.add ?? [])
      refuse(added !== 'NET_BIND_SERVICE', `${name} has the capability ${added}`);
    refuse(
      (own.runAsNonRoot ?? pod.securityContext?.runAsNonRoot) !== true,
      `${name} need not run as another user than root`,
    );
    const seccomp = own.seccompProfile?.type ?? pod.securityContext?.seccompProfile?.type;
    refuse(seccomp !== 'RuntimeDefault' && seccomp !== 'Localhost', `${name} has no seccomp profile`);
    for (const { hostPort = 0 } of container.ports ?? []) refuse(hostPort !== 0, `${name} takes a port of the host`);
    const { livenessProbe, readinessProbe, startupProbe, lifecycle } = container;
    for (const probe of [livenessProbe, readinessProbe, startupProbe, lifecycle?.postStart, lifecycle?.preStop])
      refuse((probe?.httpGet?.host ?? probe?.tcpSocket?.host ?? '') !== '', `a probe of ${name} names a host`);
  }
  return problems;
}

/** What may stand at the pod and at a container. */
function refuseContext(
  who: string,
  context: PodSecurity | undefined,
  refuse: (wrong: boolean, what: string) => void,
): void {
  const { runAsUser, seLinuxOptions, appArmorProfile, windowsOptions, seccompProfile, runAsNonRoot } = context ?? {};
  refuse(runAsUser === 0, `${who} runs as user 0`);
  refuse(runAsNonRoot === false, `${who} may run as root`);
  refuse(seccompProfile?.type === 'Unconfined', `${who} has no seccomp profile`);
  refuse(appArmorProfile?.type === 'Unconfined', `${who} has no AppArmor profile`);
  refuse(windowsOptions?.hostProcess === true, `${who} is a process of a Windows host`);
  refuse(
    !SELINUX.has(seLinuxOptions?.type) || Boolean(seLinuxOptions?.user || seLinuxOptions?.role),
    `${who} has SELinux options of its own`,
  );
}
