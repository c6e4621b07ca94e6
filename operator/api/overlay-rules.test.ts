import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { overlayCases } from '../../test/fixtures/overlays.ts';
import { overlayRules, overlayViolations } from './overlay-rules.ts';

for (const own of ['inference', 'fetch'] as const) {
  const rules = overlayRules(own);
  const cases = overlayCases(own);

  it(`every rule for ${own} has cases, and no case lacks its rule`, () => {
    assert.deepEqual(cases.map(({ rule }) => rule).sort(), rules.map(({ name }) => name).sort());
    assert.equal(new Set(rules.map(({ name }) => name)).size, rules.length);
  });

  describe(`an overlay of ${own}: the rule on`, () => {
    for (const { name, paths, scope } of rules) {
      const { accepts = [], rejects = [] } = cases.find(({ rule }) => rule === name) ?? {};
      const violations = rejects.map((pod) => overlayViolations(own, pod));

      it(`${name} breaks alone, and by one place each`, () => {
        assert.deepEqual(
          violations.map((found) => found.map(({ rule }) => rule)),
          rejects.map(() => [name]),
        );
      });
      it(`${name} lets pass what is near it`, () => {
        assert.ok(accepts.length > 0);
        for (const pod of accepts) assert.deepEqual(overlayViolations(own, pod), []);
      });
      it(`${name} is broken at each of its paths`, () => {
        const container = scope === 'pod' ? '' : /^(init)?[cC]ontainers\[\d+\]\.?/;
        const seen = violations
          .flat()
          .map(({ path }) => path.replace(container, '').replace(/\[\d+\]/g, '[]'));
        for (const path of paths) assert.ok(seen.includes(path), `${path || 'the pod'} in ${seen}`);
      });
    }
  });
}

it('a violation says where', () => {
  const [violation] = overlayViolations('inference', {
    containers: [{ name: 'a' }, { name: 'b', securityContext: { privileged: true } }],
  });
  assert.equal(violation?.path, 'containers[1].securityContext.privileged');
  assert.match(violation?.message ?? '', /privileged/);
});
