/* copy-dynamodb-table as a row of the benchmark, masked in its `transform`: every address in every string, by an HMAC
 * and a memory of those that were seen. The pseudonym is made as plainly as it can be; it is not the product's.
 *
 *     NODE_PATH=PEER/node_modules node bench/copy_peer.js http://127.0.0.1:PORT      one row in this process
 */
'use strict'

const { createHmac } = require('crypto')
const { copy } = require('copy-dynamodb-table')

const ADDRESS = /[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}/g
const config = { region: 'us-east-1', endpoint: process.argv[2], accessKeyId: '222222222222', secretAccessKey: 'secret' }

function walk () {
  const known = new Map()
  const replace = address => {
    let found = known.get(address)
    if (found === undefined) {
      found = 'u-' + createHmac('sha256', 'invented').update(address.toLowerCase()).digest('hex').slice(0, 32) + '@test.example.com'
      known.set(address, found)
    }
    return found
  }
  const masked = value => {
    if (typeof value === 'string') return value.replace(ADDRESS, replace)
    if (Array.isArray(value)) return value.map(masked)
    if (value === null || typeof value !== 'object' || Buffer.isBuffer(value) || value.wrapperName) return value
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [masked(name), masked(inner)]))
  }
  return masked
}

function run (table) {
  return new Promise((resolve, reject) => {
    const source = { tableName: table, active: true }
    const destination = { tableName: 'target', active: true }
    copy({ config, source, destination, log: false, transform: walk() }, (error, result) =>
      error ? reject(error) : resolve(result.count))
  })
}

async function main () {
  const warm = await run('few')
  const before = process.cpuUsage()
  const items = await run('source')
  const used = process.cpuUsage(before)
  const cpu = (used.user + used.system) / 1e6
  console.log(JSON.stringify({ warm, items, cpu, rss_mb: process.resourceUsage().maxRSS / 1024 }))
}

main()
