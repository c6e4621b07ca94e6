/** What the programs of the one-node cluster read: configuration files and the objects of its add-ons. Pure text. */

/** Addresses, ports and names of the one cluster that this machine can hold. */
export const NODE = {
  name: 'local-node',
  /** Lies on the loopback interface, so it stays when the machine changes networks; `networkRules` shield it. */
  address: '10.88.7.1',
  podCidr: '10.244.0.0/24',
  dnsServiceIp: '10.96.0.10',
  dnsPort: 1053,
  dnsHealthPort: 1054,
  metricsServerPort: 4443,
  kubeletHealthPort: 20248,
  proxyHealthPort: 10256,
  pauseImage: 'deepfake-operator.io/pause:local',
  provisioner: 'deepfake-operator.io/local-volume',
  natTable: 'deepfake_cluster',
} as const;

export interface NodePaths {
  readonly containerdRoot: string;
  readonly containerdState: string;
  readonly containerdSocket: string;
  readonly runcRoot: string;
  readonly cniConfig: string;
  readonly cniState: string;
  readonly cniPlugins: string;
  readonly kubeletRoot: string;
  readonly podLogs: string;
}

/** What this machine does not let the node do. */
export interface NodeLimits {
  /** No CAP_SYS_RESOURCE: OOM scores cannot be lowered, some kernel settings not be written. */
  readonly noResourceCapability: boolean;
  /** The state lies on overlayfs, on which overlayfs cannot be stacked. */
  readonly noOverlay: boolean;
}

export function containerdConfig(paths: NodePaths, limits: NodeLimits): string {
  const snapshotter = limits.noOverlay ? 'native' : 'overlayfs';
  return `version = 3
root = ${JSON.stringify(paths.containerdRoot)}
state = ${JSON.stringify(paths.containerdState)}

[grpc]
address = ${JSON.stringify(paths.containerdSocket)}

[plugins."io.containerd.internal.v1.opt"]
path = ${JSON.stringify(`${paths.containerdRoot}/opt`)}

[plugins."io.containerd.nri.v1.nri"]
disable = true

[plugins."io.containerd.cri.v1.images"]
snapshotter = "${snapshotter}"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "${NODE.pauseImage}"

[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = ${limits.noResourceCapability}
disable_apparmor = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = [${JSON.stringify(paths.cniPlugins)}]
conf_dir = ${JSON.stringify(paths.cniConfig)}
[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "runc"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
SystemdCgroup = false
Root = ${JSON.stringify(paths.runcRoot)}
`;
}

/**
 * Each pod is a point-to-point link that the host routes: replies of a Service's pod pass the host's address
 * translation, which on a bridge they would miss unless a kernel module diverted them.
 */
export function cniConfig(paths: Pick<NodePaths, 'cniState'>): string {
  const ipam = {
    type: 'host-local',
    dataDir: paths.cniState,
    ranges: [[{ subnet: NODE.podCidr }]],
    routes: [{ dst: '0.0.0.0/0' }],
  };
  return JSON.stringify({
    cniVersion: '1.0.0',
    name: 'deepfake-cluster',
    plugins: [{ type: 'ptp', mtu: 1500, ipam }],
  });
}

export interface NodeCertificates {
  readonly clientCa: string;
  readonly certificate: string;
  readonly key: string;
}

export function kubeletConfig(paths: NodePaths, tls: NodeCertificates, limits: NodeLimits): string {
  return JSON.stringify({
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: NODE.address,
    healthzPort: NODE.kubeletHealthPort,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: tls.clientCa },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: tls.certificate,
    tlsPrivateKeyFile: tls.key,
    cgroupDriver: 'cgroupfs',
    containerRuntimeEndpoint: `unix://${paths.containerdSocket}`,
    clusterDomain: 'cluster.local',
    clusterDNS: [NODE.dnsServiceIp],
    failSwapOn: false,
    failCgroupV1: false,
    makeIPTablesUtilChains: false,
    localStorageCapacityIsolation: false,
    podLogsDir: paths.podLogs,
    // Images come from this machine, not from a registry: collected ones could not be pulled again.
    imageGCHighThresholdPercent: 100,
    evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
    shutdownGracePeriod: '0s',
    featureGates: { KubeletInUserNamespace: limits.noResourceCapability },
  });
}

export function kubeProxyConfig(kubeconfigPath: string): string {
  return JSON.stringify({
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    clientConnection: { kubeconfig: kubeconfigPath },
    hostnameOverride: NODE.name,
    clusterCIDR: NODE.podCidr,
    bindAddress: NODE.address,
    healthzBindAddress: `${NODE.address}:${NODE.proxyHealthPort}`,
    metricsBindAddress: '127.0.0.1:20249',
    conntrack: { maxPerCore: 0 },
  });
}

/**
 * Pods reach what lies outside the cluster under the host's own address. Nothing outside opens a connection to the node's
 * address (Linux answers for an address of `lo` on every interface) or, through the forwarding host, to a pod.
 */
export function networkRules(): string {
  return `table ip ${NODE.natTable}
delete table ip ${NODE.natTable}
table ip ${NODE.natTable} {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${NODE.podCidr} ip daddr != { ${NODE.podCidr}, ${NODE.address} } masquerade
  }
  chain input {
    type filter hook input priority filter; policy accept;
    iifname != "lo" iifname != "veth*" ip daddr ${NODE.address} drop
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname != "veth*" ip daddr ${NODE.podCidr} ct state != { established, related } drop
  }
}
`;
}

export function corefile(kubeconfigPath: string): string {
  return `.:${NODE.dnsPort} {
  bind ${NODE.address}
  health ${NODE.address}:${NODE.dnsHealthPort}
  errors
  cache 30
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    kubeconfig ${kubeconfigPath}
    fallthrough in-addr.arpa ip6.arpa
  }
  forward . /etc/resolv.conf
}
`;
}

/** Storage class, DNS Service and metrics API: the objects behind the add-ons that run as programs of the host. */
export function addonObjects(): object[] {
  return [
    {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: 'standard', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
      provisioner: NODE.provisioner,
      reclaimPolicy: 'Delete',
      volumeBindingMode: 'Immediate',
    },
    ...hostService('kube-dns', NODE.dnsServiceIp, [
      { name: 'dns', protocol: 'UDP', port: 53, hostPort: NODE.dnsPort },
      { name: 'dns-tcp', protocol: 'TCP', port: 53, hostPort: NODE.dnsPort },
    ]),
    ...hostService('metrics-server', undefined, [
      { name: 'https', protocol: 'TCP', port: 443, hostPort: NODE.metricsServerPort },
    ]),
    {
      apiVersion: 'apiregistration.k8s.io/v1',
      kind: 'APIService',
      metadata: { name: 'v1beta1.metrics.k8s.io' },
      spec: {
        group: 'metrics.k8s.io',
        version: 'v1beta1',
        groupPriorityMinimum: 100,
        versionPriority: 100,
        insecureSkipTLSVerify: true,
        service: { name: 'metrics-server', namespace: 'kube-system', port: 443 },
      },
    },
  ];
}

interface HostPort {
  readonly name: string;
  readonly protocol: 'TCP' | 'UDP';
  readonly port: number;
  readonly hostPort: number;
}

/** A Service in kube-system whose only endpoint is a program of the host. */
function hostService(name: string, clusterIP: string | undefined, ports: readonly HostPort[]): object[] {
  const namespace = 'kube-system';
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace },
      spec: {
        ...(clusterIP === undefined ? {} : { clusterIP }),
        ports: ports.map(({ name, protocol, port, hostPort }) => ({
          name,
          protocol,
          port,
          targetPort: hostPort,
        })),
      },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: `${name}-host`, namespace, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [NODE.address], conditions: { ready: true } }],
      ports: ports.map(({ name, protocol, hostPort }) => ({ name, protocol, port: hostPort })),
    },
  ];
}
