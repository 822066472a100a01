/** Messages and archives that are made to harm: they end in an answer. The time that each takes is told, not asserted. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HOSTILE } from './hostile.ts';
import { Policy } from './policy.ts';

const LOOK = `function smtp.do_dot()
  for _, part in ipairs(mime.parts) do
    local _ = part.name, part.size, part:kind(), part:files(), part:text(), part:sha256()
  end
  show(mime.defects)
end`;

describe('what is made to harm', () => {
  it('is more than two hundred files', () => assert.ok(HOSTILE.length > 200, `${HOSTILE.length}`));

  it('ends in an answer, and no bound is hit in silence', async (t) => {
    const policy = await Policy.open(t, LOOK, { 'cpu-ms': '20000' });
    let longest = { name: '', ms: 0 };
    for (const { name, message, defect } of HOSTILE) {
      const before = process.cpuUsage();
      const { reply, shown, errors } = await policy.look(message);
      const { user, system } = process.cpuUsage(before);
      if ((user + system) / 1000 > longest.ms) longest = { name, ms: (user + system) / 1000 };
      assert.deepEqual(errors, [], name);
      assert.equal(reply.letter, 'c', name);
      const [defects] = shown as string[][];
      assert.ok(defects, name);
      if (defect !== undefined) assert.ok(defects.includes(defect), `${name}: ${defects.join(', ')}`);
    }
    t.diagnostic(`${HOSTILE.length} files, ${longest.ms.toFixed(0)} ms of CPU time at most: ${longest.name}`);
  });
});
