/**
 * What the pod overlay of a user may not say. One table for two guards: a ValidatingAdmissionPolicy made from it refuses such an
 * overlay at once, and the operator refuses it by `overlayViolations` in clusters where the policy is not installed.
 *
 * Who may create a ModelDeployment or a DeepfakeModel runs containers in that namespace under the pod's own confinement, and
 * nothing more: no rights towards the API server, none on the node, none over packages that other models serve.
 */

/** Part of a pod as a user wrote it: nothing is known of its values. */
export type Json = { readonly [key: string]: unknown };

/** The container of the operator in the pods of a kind. */
export type OwnContainer = 'inference' | 'fetch';

/** Variables that the operator sets, in some configurations at least. */
export const OWNED_ENV: Readonly<Record<OwnContainer, readonly string[]>> = {
  inference: [
    'HOST',
    'PORT',
    'MODELS_DIR',
    'ACTIVE_MODELS',
    'DEFAULT_MODEL_NAME',
    'MODEL_DIGESTS',
    'DEVICE',
    'NVIDIA_DRIVER_CAPABILITIES',
    'API_KEY',
    'AUTH_MODE',
    'SHUTDOWN_GRACE_MS',
    'MAX_SPOOL_BYTES',
    'MAX_REQUESTS_PER_CONNECTION',
    'ENGINE_WORKERS',
    'ENGINE_MAX_BATCH',
    'ENGINE_MAX_DELAY_MS',
    'POD_NAME',
    'POD_NAMESPACE',
    'REVISION',
  ],
  fetch: [
    'SOURCE_AUTHORIZATION',
    'AWS_ACCESS_KEY_ID',
    'AWS_SECRET_ACCESS_KEY',
    'AWS_SESSION_TOKEN',
    'HF_TOKEN',
    'DOCKER_CONFIG',
    'NODE_EXTRA_CA_CERTS',
  ],
};

/** Nothing is mounted at or under these paths of the operator's container. */
export const OWNED_MOUNTS = [
  '/models',
  '/tmp',
  '/run/ca',
  '/run/config-map',
  '/run/registry',
  '/dev/termination-log',
] as const;

/** Names of the volumes that the operator makes; those of packages begin with `models`. */
const OWNED_VOLUMES = '^(tmp|ca|config-map|registry|models(-.*)?)$';
const PACKAGE_VOLUMES = '^models(-.*)?$';

/** As the Pod Security Standard `restricted` has them, and OCI images, which are read-only. */
const VOLUME_TYPES = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'image',
  'persistentVolumeClaim',
  'projected',
  'secret',
] as const;

/** Not those that are credentials towards the API server: serviceAccountToken and podCertificate. */
const PROJECTED_SOURCES = ['clusterTrustBundle', 'configMap', 'downwardAPI', 'secret'] as const;

/** What is wrong about a value. */
export type Refusal =
  | { readonly is: 'set' }
  | { readonly is: 'equal'; readonly to: string | number | boolean }
  | { readonly is: 'matching'; readonly pattern: string }
  /** A map with other members than these. */
  | { readonly is: 'beyond'; readonly members: readonly string[] }
  /** A map with a member that is null, which in an overlay takes away what the operator has put there. */
  | { readonly is: 'lacking' }
  /** A map with a directive of strategic merge patches. */
  | { readonly is: 'directing' }
  /** Anything but a list of maps that have this text member, by which they are merged. */
  | { readonly is: 'unmergeable'; readonly by: string }
  | { readonly is: 'no-map' }
  /** A mount or claim without `readOnly: true`, of a volume whose name matches if a pattern is given. */
  | { readonly is: 'writable'; readonly volumes?: string };

export interface OverlayRule {
  readonly name: string;
  /** `pod`: the PodSpec; `containers`: each container and init container; `own`: the operator's container. */
  readonly scope: 'pod' | 'containers' | 'own';
  /** Members joined by dots, `[]` for each item of a list, '' for the scope itself. */
  readonly paths: readonly string[];
  readonly refuse: Refusal;
  /** What to write instead, or why not. */
  readonly message: string;
}

const HANDLERS = [
  'livenessProbe',
  'readinessProbe',
  'startupProbe',
  'lifecycle.postStart',
  'lifecycle.preStop',
];

/** Members of a security context that are refused whoever sets them. */
const loosening = (scope: 'pod' | 'containers'): OverlayRule[] => {
  const rule = (name: string, paths: readonly string[], refuse: Refusal, message: string): OverlayRule => ({
    name: `${scope === 'pod' ? 'pod' : 'container'} ${name}`,
    scope,
    paths: paths.map((path) => `securityContext.${path}`),
    refuse,
    message,
  });
  return [
    rule(
      'root user',
      ['runAsUser'],
      { is: 'equal', to: 0 },
      'pods do not run as root: runAsUser 0 is refused',
    ),
    rule(
      'runAsNonRoot',
      ['runAsNonRoot'],
      { is: 'equal', to: false },
      'pods do not run as root: runAsNonRoot false is refused',
    ),
    rule(
      'unconfined profiles',
      ['seccompProfile.type', 'appArmorProfile.type'],
      { is: 'equal', to: 'Unconfined' },
      'seccomp and AppArmor profiles may be chosen, not switched off: type Unconfined is refused',
    ),
    rule(
      'SELinux identity and Windows options',
      ['seLinuxOptions.user', 'seLinuxOptions.role', 'seLinuxOptions.type', 'windowsOptions'],
      { is: 'set' },
      'of seLinuxOptions only level may be set, and windowsOptions not at all',
    ),
  ];
};

const COMMON: readonly OverlayRule[] = [
  {
    name: 'lists',
    scope: 'pod',
    paths: ['containers', 'initContainers', 'volumes'],
    refuse: { is: 'unmergeable', by: 'name' },
    message:
      'containers, initContainers and volumes are lists whose items have a name, by which they are merged',
  },
  {
    name: 'security contexts',
    scope: 'pod',
    paths: ['securityContext', 'containers[].securityContext', 'initContainers[].securityContext'],
    refuse: { is: 'no-map' },
    message: 'a securityContext is an object: it cannot be taken away',
  },
  {
    name: 'directives',
    scope: 'pod',
    paths: [
      '',
      'securityContext',
      'securityContext.seccompProfile',
      ...['containers[]', 'initContainers[]'].flatMap((container) => [
        container,
        `${container}.env[]`,
        `${container}.volumeMounts[]`,
        `${container}.securityContext`,
      ]),
    ],
    refuse: { is: 'directing' },
    message:
      'directives such as $patch are refused on the pod, its securityContext, and on containers, their env, volumeMounts and securityContext: they would take away what the operator puts there',
  },
  {
    name: 'identity and host of the pod',
    scope: 'pod',
    paths: [
      'serviceAccountName',
      'serviceAccount',
      'automountServiceAccountToken',
      'hostNetwork',
      'hostPID',
      'hostIPC',
      'nodeName',
      'restartPolicy',
      'activeDeadlineSeconds',
      'terminationGracePeriodSeconds',
      'ephemeralContainers',
    ],
    refuse: { is: 'set' },
    message:
      'the operator decides about serviceAccountName, automountServiceAccountToken, hostNetwork, hostPID, hostIPC, nodeName, restartPolicy, activeDeadlineSeconds, terminationGracePeriodSeconds and ephemeralContainers: leave them out (nodes are chosen by nodeSelector and affinity)',
  },
  {
    name: 'priority of the cluster itself',
    scope: 'pod',
    paths: ['priorityClassName'],
    refuse: { is: 'matching', pattern: '^system-' },
    message:
      'priority classes of the system would let these pods push out those of the cluster itself: take another priorityClassName',
  },
  {
    name: 'sysctls',
    scope: 'pod',
    paths: ['securityContext.sysctls'],
    refuse: { is: 'set' },
    message: 'securityContext.sysctls is refused: it reaches beyond the pod',
  },
  {
    name: 'what the pod is confined by',
    scope: 'pod',
    paths: ['securityContext'],
    refuse: { is: 'lacking' },
    message:
      "null would take away how the operator confines the pod: write a value, or leave the securityContext's member out",
  },
  {
    name: 'types of volumes',
    scope: 'pod',
    paths: ['volumes[]'],
    refuse: { is: 'beyond', members: ['name', ...VOLUME_TYPES] },
    message: `a volume is one of ${VOLUME_TYPES.join(', ')}: hostPath and others reach the node`,
  },
  {
    name: 'credentials of the pod',
    scope: 'pod',
    paths: ['volumes[].projected.sources[]'],
    refuse: { is: 'beyond', members: PROJECTED_SOURCES },
    message: `a source of a projected volume is one of ${PROJECTED_SOURCES.join(', ')}: no pod gets a token or certificate for the API server`,
  },
  {
    name: 'claims',
    scope: 'pod',
    paths: ['volumes[].persistentVolumeClaim'],
    refuse: { is: 'writable' },
    message:
      'a persistentVolumeClaim is mounted with readOnly: true, because verified packages lie on claims of the namespace; for scratch space take emptyDir or ephemeral',
  },
  {
    name: 'names of volumes',
    scope: 'pod',
    paths: ['volumes[].name'],
    refuse: { is: 'matching', pattern: OWNED_VOLUMES },
    message:
      'volumes named tmp, ca, config-map, registry, models and models-* are those of the operator: take another name',
  },
  {
    name: 'packages',
    scope: 'containers',
    paths: ['volumeMounts[]'],
    refuse: { is: 'writable', volumes: PACKAGE_VOLUMES },
    message: 'volumes of model packages are mounted with readOnly: true: what was verified stays as it is',
  },
  {
    name: 'privileges',
    scope: 'containers',
    paths: ['securityContext.privileged', 'securityContext.allowPrivilegeEscalation'],
    refuse: { is: 'equal', to: true },
    message: 'privileged and allowPrivilegeEscalation stay false',
  },
  {
    name: 'capabilities and proc',
    scope: 'containers',
    paths: ['securityContext.capabilities.add', 'securityContext.procMount'],
    refuse: { is: 'set' },
    message: 'securityContext.capabilities.add and procMount are refused',
  },
  {
    name: 'devices',
    scope: 'containers',
    paths: ['env[].name'],
    // Where the runtime believes it, any container gets every device of its node by it.
    refuse: { is: 'matching', pattern: '^NVIDIA_VISIBLE_DEVICES$' },
    message: 'the device plugin alone decides about NVIDIA_VISIBLE_DEVICES: leave it out',
  },
  {
    name: 'variables of any name',
    scope: 'containers',
    paths: ['envFrom'],
    refuse: { is: 'set' },
    message:
      'envFrom is refused, because NVIDIA_VISIBLE_DEVICES could come by it: name each variable in env, with valueFrom',
  },
  ...loosening('pod'),
  ...loosening('containers'),
  {
    name: 'ports of the node',
    scope: 'containers',
    paths: ['ports[].hostPort', ...HANDLERS.flatMap((at) => [`${at}.httpGet.host`, `${at}.tcpSocket.host`])],
    refuse: { is: 'set' },
    message: 'hostPort and the host of a probe or lifecycle handler are refused: they reach the node',
  },
  {
    name: 'members of its own container that merge',
    scope: 'own',
    paths: ['securityContext'],
    refuse: {
      is: 'beyond',
      members: ['runAsUser', 'runAsGroup', 'seLinuxOptions', 'seccompProfile', 'appArmorProfile'],
    },
    message:
      "of its own container's securityContext the operator leaves runAsUser, runAsGroup, seLinuxOptions, seccompProfile and appArmorProfile to you",
  },
  {
    name: 'variables as a list',
    scope: 'own',
    paths: ['env'],
    refuse: { is: 'unmergeable', by: 'name' },
    message: 'env is a list whose items have a name, by which they are merged',
  },
  {
    name: 'mounts as a list',
    scope: 'own',
    paths: ['volumeMounts'],
    refuse: { is: 'unmergeable', by: 'mountPath' },
    message: 'volumeMounts is a list whose items have a mountPath, by which they are merged',
  },
  {
    name: 'mounts',
    scope: 'own',
    paths: ['volumeMounts[].mountPath'],
    // Each of the other forms might mean one of them: kubelet makes a relative path absolute, and /var/run is /run.
    refuse: {
      is: 'matching',
      pattern: `^(${OWNED_MOUNTS.join('|')})(/|$)|^/var/run(/|$)|^[^/]|/[.]{1,2}(/|$)|//|^/?$`,
    },
    message: `nothing is mounted at or under ${OWNED_MOUNTS.join(', ')}, and a mountPath begins with '/', is written without '.', '..' and '//', and with /run for /var/run`,
  },
];

/** Members of the operator's own container, in the pods of both kinds, that nobody else sets. */
const FIXED_MEMBERS = [
  'command',
  'args',
  'workingDir',
  'ports',
  'startupProbe',
  'readinessProbe',
  'livenessProbe',
  'lifecycle',
  'restartPolicy',
  'restartPolicyRules',
  'terminationMessagePath',
  'terminationMessagePolicy',
] as const;

const OWNED_MEMBERS: Readonly<Record<OwnContainer, readonly string[]>> = {
  inference: [...FIXED_MEMBERS, 'resources'],
  fetch: FIXED_MEMBERS,
};

/** All rules for the overlay of the pods with this container. Those on the form of lists come first: the others rely on it. */
export const overlayRules = (own: OwnContainer): readonly OverlayRule[] => [
  ...COMMON,
  {
    name: 'members of its own container',
    scope: 'own',
    paths: OWNED_MEMBERS[own],
    refuse: { is: 'set' },
    message: `of the container ${own} the operator sets ${OWNED_MEMBERS[own].join(', ')}: leave them out${
      own === 'inference' ? ' (resources are written to spec.resources and spec.gpu)' : ''
    }`,
  },
  {
    name: 'variables of its own container',
    scope: 'own',
    paths: ['env[].name'],
    refuse: { is: 'matching', pattern: `^(${OWNED_ENV[own].join('|')})$` },
    message: `of the container ${own} the operator sets the variables ${OWNED_ENV[own].join(', ')}: leave them out`,
  },
];

export interface OverlayViolation {
  readonly rule: string;
  /** Where, from the PodSpec on: `containers[1].securityContext.privileged`. */
  readonly path: string;
  readonly message: string;
}

/** Everything in a PodSpec fragment that breaks a rule. */
export function overlayViolations(own: OwnContainer, pod: Json): readonly OverlayViolation[] {
  const scopes: Record<OverlayRule['scope'], readonly Place[]> = {
    pod: [{ path: '', value: pod }],
    containers: [...itemsOf(pod, 'containers'), ...itemsOf(pod, 'initContainers')],
    own: itemsOf(pod, 'containers').filter(({ value }) => isMap(value) && value['name'] === own),
  };
  return overlayRules(own).flatMap(({ name, scope, paths, refuse, message }) =>
    scopes[scope]
      .flatMap((place) => paths.flatMap((path) => placesAt(place, path)))
      .filter(({ value }) => isRefused(refuse, value))
      .map(({ path }) => ({ rule: name, path, message })),
  );
}

interface Place {
  readonly path: string;
  readonly value: unknown;
}

const isMap = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const itemsOf = (pod: Json, list: string) => placesAt({ path: '', value: pod }, `${list}[]`);

/** The places that a path of a rule leads to: none where something on the way is absent. */
function placesAt(from: Place, path: string): readonly Place[] {
  if (path === '') return [from];
  const [segment = '', ...rest] = path.split('.');
  const name = segment.replace('[]', '');
  if (!isMap(from.value) || !Object.hasOwn(from.value, name)) return [];
  const member = { path: from.path === '' ? name : `${from.path}.${name}`, value: from.value[name] };
  const next = segment.endsWith('[]') ? listItems(member) : [member];
  return next.flatMap((place) => placesAt(place, rest.join('.')));
}

const listItems = ({ path, value }: Place): readonly Place[] =>
  Array.isArray(value)
    ? value.map((item: unknown, index) => ({ path: `${path}[${index}]`, value: item }))
    : [];

const matches = (pattern: string, value: unknown) =>
  typeof value === 'string' && new RegExp(pattern).test(value);

function isRefused(refuse: Refusal, value: unknown): boolean {
  switch (refuse.is) {
    case 'set':
      return true;
    case 'equal':
      return value === refuse.to;
    case 'matching':
      return matches(refuse.pattern, value);
    case 'beyond':
      return isMap(value) && Object.keys(value).some((key) => !refuse.members.includes(key));
    case 'lacking':
      return isMap(value) && Object.values(value).includes(null);
    case 'directing':
      return isMap(value) && Object.keys(value).some((key) => key.startsWith('$'));
    case 'unmergeable':
      return (
        !Array.isArray(value) || !value.every((item) => isMap(item) && typeof item[refuse.by] === 'string')
      );
    case 'no-map':
      return !isMap(value);
    case 'writable':
      return (
        isMap(value) &&
        value['readOnly'] !== true &&
        (refuse.volumes === undefined || matches(refuse.volumes, value['name']))
      );
  }
}
