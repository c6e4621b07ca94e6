import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ApiError } from '../runtime/errors.ts';
import { CommandError, explain } from './errors.ts';

const CLUSTER = { server: 'https://10.0.0.1:6443', context: 'prod' };
const denied = (text: string) => new ApiError('GET /x', 403, 'Forbidden', text);
const withCode = (code: string, message: string) => Object.assign(new Error(message), { code });

describe('an error in one line', () => {
  const cases: readonly [string, unknown, string][] = [
    ['our own words stay', new CommandError('no such file'), 'no such file'],
    [
      'a right in a namespace',
      denied(
        'pods is forbidden: User "jo" cannot list resource "pods" in API group "" in the namespace "ns"',
      ),
      'forbidden: user jo may not list pods in namespace ns: ask for a role with that right',
    ],
    [
      'a right in the whole cluster, of a group',
      denied(
        'x is forbidden: User "jo" cannot get resource "pods/log" in API group "g.io" at the cluster scope',
      ),
      'forbidden: user jo may not get pods/log.g.io in the whole cluster: ask for a role with that right',
    ],
    ['a refusal in other words', denied('quota exceeded'), 'forbidden: quota exceeded'],
    [
      'credentials that ended',
      new ApiError('GET /x', 401, 'Unauthorized', 'Unauthorized'),
      'the cluster at https://10.0.0.1:6443 does not accept the credentials of context prod: log in again',
    ],
    [
      'kinds that are not there, as the server says it for a group it does not know',
      new ApiError('GET /x', 404, 'Unknown', '404 page not found'),
      "the cluster at https://10.0.0.1:6443 does not have the kinds of deepfake-operator.io: install the operator's chart",
    ],
    [
      'kinds that are not there, as the server says it for a group it knows',
      new ApiError('GET /x', 404, 'NotFound', 'the server could not find the requested resource'),
      "the cluster at https://10.0.0.1:6443 does not have the kinds of deepfake-operator.io: install the operator's chart",
    ],
    [
      'an object that is not there',
      new ApiError('GET /x', 404, 'NotFound', 'pods "p" not found'),
      'pods "p" not found',
    ],
    [
      'any other answer',
      new ApiError('GET /x', 500, 'InternalError', 'etcd is away\nstack'),
      'GET /x: 500 InternalError: etcd is away',
    ],
    [
      'nobody there',
      withCode('ECONNREFUSED', 'connect ECONNREFUSED 10.0.0.1:6443'),
      'cannot reach the cluster at https://10.0.0.1:6443 (context prod): connect ECONNREFUSED 10.0.0.1:6443',
    ],
    [
      'a failure of all addresses of a name, which has no words of its own',
      withCode('ECONNREFUSED', ''),
      'cannot reach the cluster at https://10.0.0.1:6443 (context prod): ECONNREFUSED',
    ],
    [
      'the cause of a failure',
      new TypeError('fetch failed', { cause: withCode('CERT_HAS_EXPIRED', 'certificate has expired') }),
      'cannot reach the cluster at https://10.0.0.1:6443 (context prod): certificate has expired',
    ],
    [
      'no answer in time',
      new DOMException('The operation was aborted due to timeout', 'TimeoutError'),
      'cannot reach the cluster at https://10.0.0.1:6443 (context prod): no answer in time',
    ],
    [
      'a file that credentials need',
      withCode('ENOENT', "ENOENT: no such file or directory, open '/k.pem'"),
      "ENOENT: no such file or directory, open '/k.pem'",
    ],
    ['something that is no error', 'text\nmore', 'text'],
  ];
  for (const [name, error, expected] of cases)
    it(name, () => assert.equal(explain(error, CLUSTER), expected));

  it('before a cluster was chosen speaks of none', () => {
    assert.equal(explain(withCode('ECONNREFUSED', 'x'), undefined), 'x');
  });
});
