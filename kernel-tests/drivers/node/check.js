// node-postgres against the server that the environment names; one "ok NAME" per check.
const assert = require('node:assert/strict')
const { once } = require('node:events')
const { Client, Pool } = require('pg')

const value = async (client, text, values) => Object.values((await client.query(text, values)).rows[0])[0]

const checks = {
  async types(client) {
    assert.equal(await value(client, 'select $1::int', [42]), 42)
    assert.equal(await value(client, 'select $1::text', ['grüße']), 'grüße')
    assert.equal(await value(client, 'select $1::text', [null]), null)
    assert.deepEqual(await value(client, 'select $1::int[]', [[1, 2, 3]]), [1, 2, 3])
    assert.deepEqual(await value(client, 'select $1::jsonb', [{ a: [1, null] }]), { a: [1, null] })
    assert.deepEqual(await value(client, 'select $1::bytea', [Buffer.from([0, 255])]), Buffer.from([0, 255]))
    const when = new Date('2024-02-29T01:02:03.456Z')
    assert.deepEqual(await value(client, 'select $1::timestamptz', [when]), when)
    assert.equal((await value(client, 'select repeat($1, 1000000)', ['x'])).length, 1000000)
  },
  async simple(client) {
    const results = await client.query('select 1 as a; select 2 as b; select 3 as c')
    assert.deepEqual(results.map((r) => r.rows[0]), [{ a: 1 }, { b: 2 }, { c: 3 }])
  },
  async prepared(client) {
    for (let i = 0; i < 50; i++) {
      const result = await client.query({ name: 'plus', text: 'select $1::int + 1 as sum', values: [i] })
      assert.equal(result.rows[0].sum, i + 1)
    }
    await assert.rejects(client.query({ name: 'div', text: 'select 1 / $1::int as q', values: [0] }), { code: '22012' })
    assert.equal((await client.query({ name: 'div', text: 'select 1 / $1::int as q', values: [1] })).rows.length, 1)
  },
  async queued(client) {
    const results = await Promise.allSettled(
      Array.from({ length: 100 }, (_, i) => client.query('select 100 / $1::int as q', [i % 10])))
    results.forEach((r, i) => {
      if (i % 10 === 0) assert.equal(r.reason.code, '22012')
      else assert.equal(r.value.rows[0].q, Math.trunc(100 / (i % 10)))
    })
  },
  async rowLimit(client) {
    // A query with a row count reads its portal in parts.
    const { Query } = require('pg')
    const query = new Query({ text: 'select i from generate_series(1, 25) i', rows: 10 })
    const rows = []
    query.on('row', (row) => rows.push(row.i))
    client.query(query)
    await once(query, 'end')
    assert.deepEqual(rows, Array.from({ length: 25 }, (_, i) => i + 1))
  },
  async transactions(client) {
    await client.query('create temp table tx (a int)')
    await client.query('begin')
    await client.query('insert into tx values (1)')
    await assert.rejects(client.query('select 1/0'), { code: '22012' })
    await assert.rejects(client.query('select 1'), { code: '25P02' })
    await client.query('rollback')
    assert.equal(await value(client, 'select count(*)::int from tx'), 0)
  },
  async errors(client) {
    await assert.rejects(client.query('selec 1'), { code: '42601', position: '1' })
    await assert.rejects(client.query('select $1::int', ['x']), { code: '22P02' })
    await assert.rejects(client.query('select * from no_such_table where a = $1', [1]), { code: '42P01' })
  },
  async listen(client) {
    await client.query('listen node_channel')
    const heard = once(client, 'notification')
    const other = new Client()
    await other.connect()
    await other.query("select pg_notify('node_channel', 'hello')")
    await other.end()
    assert.equal((await heard)[0].payload, 'hello')
    await client.query('unlisten *')
  },
  async timeout(client) {
    await client.query('set statement_timeout = 100')
    await assert.rejects(client.query('select pg_sleep(60)'), { code: '57014' })
    await client.query('reset statement_timeout')
  },
  async pool() {
    const pool = new Pool({ max: 5 })
    const sums = await Promise.all(Array.from({ length: 200 }, (_, i) => value(pool, 'select $1::int * 2', [i])))
    assert.deepEqual(sums, Array.from({ length: 200 }, (_, i) => i * 2))
    await pool.end()
  },
}

async function main() {
  for (const [name, check] of Object.entries(checks)) {
    const client = new Client()
    await client.connect()
    await check(client)
    assert.equal(await value(client, 'select 1'), 1)
    await client.end()
    console.log('ok', name)
  }
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
