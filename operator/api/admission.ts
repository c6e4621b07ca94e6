/**
 * What the API server refuses or warns of besides the schemas: ValidatingAdmissionPolicies, as data. A schema hands pod overlays on
 * unread, so its rules cannot see into them; a policy can.
 */
import { stringify } from 'yaml';
import { GROUP, VERSION } from './names.ts';
import { type OverlayRule, type OwnContainer, overlayRules, type Refusal } from './overlay-rules.ts';

export interface AdmissionPolicy {
  /** What its name ends with, after that of the release. */
  readonly name: string;
  /** `Deny`: as the administrator chose, by default refused. `Warn`: told to the caller, and nothing else. */
  readonly severity: 'Deny' | 'Warn';
  /** Of a ValidatingAdmissionPolicy. */
  readonly spec: PolicySpec;
}

interface PolicySpec {
  readonly failurePolicy: 'Fail' | 'Ignore';
  readonly matchConstraints: object;
  readonly matchConditions: readonly { readonly name: string; readonly expression: string }[];
  readonly variables?: readonly { readonly name: string; readonly expression: string }[];
  readonly validations: readonly Validation[];
}

interface Validation {
  /** CEL: true for an object that obeys. */
  readonly expression: string;
  readonly message?: string;
  readonly messageExpression?: string;
}

type Operation = 'CREATE' | 'UPDATE' | 'DELETE';

const matching = (plural: string, operations: readonly Operation[]) => ({
  resourceRules: [{ apiGroups: [GROUP], apiVersions: [VERSION], resources: [plural], operations }],
});

/** What was stored before a policy came may still be labelled, released by its finalizers and deleted. */
const specChanges = {
  name: 'the-spec-changes',
  expression: 'oldObject == null || object.spec != oldObject.spec',
};

export function admissionPolicies(): readonly AdmissionPolicy[] {
  return [
    overlayPolicy('modeldeployment-pods', 'modeldeployments', 'inference', ['template', 'spec']),
    overlayPolicy('deepfakemodel-pods', 'deepfakemodels', 'fetch', ['fetch', 'template', 'spec']),
    plainHttpPolicy,
    heldDeletionPolicy,
  ];
}

/** The text of the chart's file. */
export const admissionFile = (): string =>
  `# Generated from operator/api/admission.ts by "npm run codegen".\n${stringify(admissionPolicies(), { lineWidth: 0, aliasDuplicateObjects: false })}`;

function overlayPolicy(
  name: string,
  plural: string,
  own: OwnContainer,
  path: readonly string[],
): AdmissionPolicy {
  const prefixes = path.map((_, index) => ['object', 'spec', ...path.slice(0, index + 1)].join('.'));
  const pod = prefixes.at(-1) ?? '';
  const list = (member: string) =>
    `(has(${pod}.${member}) && type(${pod}.${member}) == list ? ${pod}.${member} : [])`;
  const isContainer = '.filter(container, type(container) == map)';
  return {
    name,
    severity: 'Deny',
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: matching(plural, ['CREATE', 'UPDATE']),
      matchConditions: [
        specChanges,
        { name: 'there-is-an-overlay', expression: prefixes.map((prefix) => `has(${prefix})`).join(' && ') },
      ],
      variables: [
        { name: 'pod', expression: pod },
        {
          name: 'containers',
          expression: `(${list('containers')} + ${list('initContainers')})${isContainer}`,
        },
        {
          name: 'own',
          expression: `${list('containers')}${isContainer}.filter(container, has(container.name) && container.name == '${own}')`,
        },
      ],
      validations: overlayRules(own).map((rule) => ({
        expression: obeyed(rule),
        message: `spec.${path.join('.')}: ${rule.message}`,
      })),
    },
  };
}

/** CEL that is true where the rule is kept. */
function obeyed({ scope, paths, refuse }: OverlayRule): string {
  const broken = (root: string) =>
    refuse.is === 'set' && paths.every((path) => !/[.[]/.test(path))
      ? `[${paths.map(literal).join(', ')}].exists(member, member in ${root})`
      : paths.map((path) => refusedAt(root, path, refuse)).join(' || ');
  return scope === 'pod'
    ? `!(${broken('variables.pod')})`
    : `!variables.${scope}.exists(container, ${broken('container')})`;
}

/** CEL that is true where the path leads from `at` to something that is refused. Whatever lies on the way may be of any type. */
function refusedAt(at: string, path: string, refuse: Refusal): string {
  if (path === '') return refused(at, refuse);
  const [segment = '', ...rest] = path.split('.');
  const member = `${at}.${segment.replace('[]', '')}`;
  const isThere = isKnownMap(at) ? `has(${member})` : `type(${at}) == map && has(${member})`;
  if (!segment.endsWith('[]')) return and(isThere, refusedAt(member, rest.join('.'), refuse));
  const item = `item${path.split('[]').length - 1}`;
  return `${isThere} && type(${member}) == list && ${member}.exists(${item}, ${refusedAt(item, rest.join('.'), refuse)})`;
}

const isKnownMap = (expression: string) => expression === 'variables.pod' || expression === 'container';

const and = (left: string, right: string) => (right === 'true' ? left : `${left} && ${parenthesised(right)}`);
const parenthesised = (expression: string) => (expression.includes(' || ') ? `(${expression})` : expression);

/** CEL that is true for a value that is refused. */
function refused(value: string, refuse: Refusal): string {
  const isMap = `type(${value}) == map`;
  switch (refuse.is) {
    case 'set':
      return 'true';
    case 'equal':
      return `${value} == ${literal(refuse.to)}`;
    case 'matching':
      return matches(value, refuse.pattern);
    case 'beyond':
      return `${isMap} && ${value}.exists(key, !(key in [${refuse.members.map(literal).join(', ')}]))`;
    case 'lacking':
      return `${isMap} && ${value}.exists(key, ${value}[key] == null)`;
    case 'directing':
      return `${isMap} && ${value}.exists(key, key.startsWith('$'))`;
    case 'unmergeable':
      return `type(${value}) != list || ${value}.exists(item, type(item) != map || !has(item.${refuse.by}) || type(item.${refuse.by}) != string)`;
    case 'no-map':
      return `type(${value}) != map`;
    case 'writable': {
      const writable = `${isMap} && (!has(${value}.readOnly) || ${value}.readOnly != true)`;
      if (refuse.volumes === undefined) return writable;
      return `${writable} && has(${value}.name) && ${matches(`${value}.name`, refuse.volumes)}`;
    }
  }
}

const matches = (value: string, pattern: string) =>
  `type(${value}) == string && ${value}.matches(${literal(pattern)})`;

/** A JSON string is a CEL string, for what stands in the rules. */
const literal = (value: string | number | boolean) =>
  typeof value === 'string' ? `'${value}'` : JSON.stringify(value);

/** CEL: an address of the source, '' where there is none. */
const sourceAddress = (source: string, member: string) =>
  `(has(object.spec.source.${source}) && has(object.spec.source.${source}.${member}) ? object.spec.source.${source}.${member} : '')`;

const WITH_SECRET = ['http', 's3', 'huggingFace', 'oci'];

const plainHttpPolicy: AdmissionPolicy = {
  name: 'deepfakemodel-plain-http',
  severity: 'Warn',
  spec: {
    failurePolicy: 'Ignore',
    matchConstraints: matching('deepfakemodels', ['CREATE', 'UPDATE']),
    matchConditions: [specChanges],
    variables: [
      {
        name: 'plain',
        expression: [
          `[${[sourceAddress('http', 'url'), sourceAddress('s3', 'endpoint'), sourceAddress('huggingFace', 'endpoint')].join(', ')}].exists(address, address.startsWith('http://'))`,
          'has(object.spec.source.oci) && has(object.spec.source.oci.plainHttp) && object.spec.source.oci.plainHttp',
        ].join(' || '),
      },
      {
        name: 'credentials',
        expression: WITH_SECRET.map(
          (source) => `has(object.spec.source.${source}) && has(object.spec.source.${source}.secretRef)`,
        ).join(' || '),
      },
    ],
    validations: [
      {
        expression: '!variables.plain || variables.credentials',
        message:
          'spec.source is fetched over plain http: the digest proves what arrives, but everybody on the way can read it',
      },
      {
        expression: '!(variables.plain && variables.credentials)',
        message:
          'spec.source sends the credentials of its secretRef over plain http: everybody on the way can read and use them',
      },
    ],
  },
};

const HELD = 'the DeepfakeModel stays until no ModelDeployment names it';

const heldDeletionPolicy: AdmissionPolicy = {
  name: 'deepfakemodel-deletion',
  severity: 'Warn',
  spec: {
    failurePolicy: 'Ignore',
    matchConstraints: matching('deepfakemodels', ['DELETE']),
    matchConditions: [],
    validations: [
      {
        expression:
          '!has(oldObject.status) || !has(oldObject.status.usedBy) || size(oldObject.status.usedBy) == 0',
        messageExpression: `'used by ' + oldObject.status.usedBy.join(', ') + ': ${HELD}'`,
        message: HELD,
      },
    ],
  },
};
