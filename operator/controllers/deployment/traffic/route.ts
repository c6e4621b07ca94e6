/**
 * The rules of an HTTPRoute that splits requests between the two tracks. Pure. A rule takes part if one of its backends is the
 * stable track's Service. What a rollout adds to such a rule is known again by its shape: a rule whose backend is the canary
 * alone is a header route, a mirror to the canary is ours. Everything else is left as it is.
 */
import { isDeepStrictEqual } from 'node:util';
import { LABEL } from '../../../api/names.ts';
import type { HeaderRoute, MirrorRoute } from '../../../rollout/contract.ts';
import type { Applied } from '../../../runtime/object.ts';
import { HTTP_ROUTE, type HttpRoute, type HttpRouteRule, type ModelDeployment } from '../../kinds.ts';
import { CANARY, childMetadata, ownerReferences, STABLE, trackName } from '../names.ts';
import { SERVICE_PORT } from '../service.ts';
import type { GatewayRouting } from '../strategy.ts';

/** What the rules of a route should do. */
export interface Split {
  /** Percent of the requests. */
  readonly canaryWeight: number;
  readonly headers: readonly HeaderRoute[];
  readonly mirror: MirrorRoute | undefined;
}

type Backend = NonNullable<HttpRouteRule['backendRefs']>[number];
type Filter = NonNullable<HttpRouteRule['filters']>[number];
type Match = NonNullable<HttpRouteRule['matches']>[number];

const isService = (
  { group = '', kind = 'Service', namespace, name }: Omit<Backend, 'weight'>,
  service: string,
  own: string | undefined,
) => group === '' && kind === 'Service' && name === service && (namespace ?? own) === own;

interface Tracks {
  readonly namespace: string | undefined;
  readonly stable: string;
  readonly canary: string;
}
const tracksOf = ({ metadata: { namespace, name } }: ModelDeployment): Tracks => ({
  namespace,
  stable: trackName(name, STABLE),
  canary: trackName(name, CANARY),
});

const isSplit = (rule: HttpRouteRule, { stable, namespace }: Tracks) =>
  rule.backendRefs?.some((backend) => isService(backend, stable, namespace)) ?? false;

const isHeaderRoute = (rule: HttpRouteRule, { canary, namespace }: Tracks) =>
  rule.backendRefs?.length === 1 &&
  rule.backendRefs.every((backend) => isService(backend, canary, namespace));

const isOurMirror = ({ type, requestMirror }: Filter, { canary, namespace }: Tracks) =>
  type === 'RequestMirror' &&
  requestMirror !== undefined &&
  isService(requestMirror.backendRef, canary, namespace);

/** The same rules with the split in them; header routes come first, since of equal matches the first wins. */
export function routedRules(
  owner: ModelDeployment,
  rules: readonly HttpRouteRule[],
  split: Split,
): HttpRouteRule[] {
  const tracks = tracksOf(owner);
  const kept = rules.filter((rule) => !isHeaderRoute(rule, tracks));
  const headers = kept
    .filter((rule) => isSplit(rule, tracks))
    .flatMap((rule) => headerRules(rule, split, tracks));
  return [...headers, ...kept.map((rule) => (isSplit(rule, tracks) ? splitRule(rule, split, tracks) : rule))];
}

function splitRule(rule: HttpRouteRule, { canaryWeight, mirror }: Split, tracks: Tracks): HttpRouteRule {
  const { canary, stable, namespace } = tracks;
  const { filters: before = [], backendRefs = [], ...rest } = rule;
  const others = before.filter((filter) => !isOurMirror(filter, tracks));
  const filters = mirror ? [...others, mirrorFilter(mirror, tracks)] : others;
  const weighed = backendRefs.map((backend) => {
    if (isService(backend, stable, namespace)) return { ...backend, weight: 100 - canaryWeight };
    return isService(backend, canary, namespace) ? { ...backend, weight: canaryWeight } : backend;
  });
  const named = weighed.some((backend) => isService(backend, canary, namespace));
  return {
    ...rest,
    ...(filters.length === 0 ? {} : { filters }),
    backendRefs: named ? weighed : [...weighed, { ...backendOf(canary), weight: canaryWeight }],
  };
}

const backendOf = (name: string): Backend => ({ group: '', kind: 'Service', name, port: SERVICE_PORT });

const mirrorFilter = ({ percentage }: MirrorRoute, { canary }: Tracks): Filter => ({
  type: 'RequestMirror',
  requestMirror: { backendRef: backendOf(canary), ...(percentage === 100 ? {} : { percent: percentage }) },
});

function headerRules(rule: HttpRouteRule, { headers }: Split, tracks: Tracks): HttpRouteRule[] {
  // A rule without a match matches everything.
  const matches: readonly Match[] = rule.matches?.length ? rule.matches : [{}];
  const { filters = [], name: _name, ...rest } = rule;
  const others = filters.filter((filter) => !isOurMirror(filter, tracks));
  return headers.map(({ match }) => ({
    ...rest,
    ...(others.length === 0 ? {} : { filters: others }),
    matches: matches.map((each) => ({
      ...each,
      headers: [...(each.headers ?? []), ...match.map(headerMatch)],
    })),
    backendRefs: [{ ...backendOf(tracks.canary), weight: 1 }],
  }));
}

const headerMatch = ({ headerName, exact, regex }: HeaderRoute['match'][number]) =>
  regex === undefined
    ? { type: 'Exact', name: headerName, value: exact ?? '' }
    : { type: 'RegularExpression', name: headerName, value: regex };

/**
 * The canary's percent of what both tracks get: of every rule that takes part, the most. undefined: none takes part.
 * A backend without a weight has 1, as the Gateway API says.
 */
export function canaryWeightOf(owner: ModelDeployment, rules: readonly HttpRouteRule[]): number | undefined {
  const tracks = tracksOf(owner);
  const weightOf = ({ backendRefs = [] }: HttpRouteRule, service: string) => {
    const backend = backendRefs.find((each) => isService(each, service, tracks.namespace));
    return backend ? (backend.weight ?? 1) : 0;
  };
  const shares = rules
    .filter((rule) => isSplit(rule, tracks))
    .map((rule) => {
      const canary = weightOf(rule, tracks.canary);
      return canary === 0 ? 0 : Math.round((100 * canary) / (weightOf(rule, tracks.stable) + canary));
    });
  return shares.length === 0 ? undefined : Math.max(...shares);
}

/** The canary is asked for requests that no weight sends to it. */
export const sendsCopies = (owner: ModelDeployment, rules: readonly HttpRouteRule[]): boolean => {
  const tracks = tracksOf(owner);
  return rules.some(
    (rule) => isHeaderRoute(rule, tracks) || rule.filters?.some((filter) => isOurMirror(filter, tracks)),
  );
};

/** The route that is made where the user names gateways instead of one of their own. */
export function desiredRoute(owner: ModelDeployment, routing: GatewayRouting, split: Split): Applied {
  const { name } = owner.metadata;
  const { apiVersion, kind } = HTTP_ROUTE;
  const base: HttpRouteRule = {
    matches: [{ path: { type: 'PathPrefix', value: '/' } }],
    backendRefs: [backendOf(trackName(name, STABLE)), backendOf(trackName(name, CANARY))],
  };
  return {
    apiVersion,
    kind,
    metadata: {
      ...childMetadata(owner, name, { [LABEL.track]: STABLE }),
      ownerReferences: ownerReferences(owner),
    },
    spec: {
      parentRefs: routing.parentRefs ?? [],
      ...(routing.hostnames === undefined ? {} : { hostnames: routing.hostnames }),
      rules: routedRules(owner, [base], split),
    },
  } as Applied;
}

/**
 * What to change in a route of the user; undefined: nothing. Its rules are one atomic list, so no field manager can own a weight
 * alone: they are written as a whole onto the very state that they were read from.
 */
export function routePatch(owner: ModelDeployment, route: HttpRoute, split: Split): object | undefined {
  const rules = route.spec?.rules ?? [];
  const wanted = routedRules(owner, rules, split);
  if (isDeepStrictEqual(wanted, rules)) return undefined;
  return { metadata: { resourceVersion: route.metadata.resourceVersion }, spec: { rules: wanted } };
}
