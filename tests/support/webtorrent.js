// A WebTorrent that a test drives: what it is to do stands in the JSON file that is named; it writes a line when all is
// here and verified, and runs until it is killed.

const fs = require('fs')
const net = require('net')
const path = require('path')

const [, , modules, task] = process.argv
const WebTorrent = require(path.join(modules, 'webtorrent'))
const ask = JSON.parse(fs.readFileSync(task, 'utf8'))

// It listens on all addresses, and has no option for one.
const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (port, ...rest) {
  return listen.call(this, port, ask.ip, ...rest.filter((arg) => typeof arg !== 'string'))
}

const client = new WebTorrent({
  torrentPort: ask.port, dht: false, lsd: false, natUpnp: false, natPmp: false, utp: false, utPex: false,
  secure: ask.secure
})
client.on('error', (error) => {
  console.log(`failed: ${error.stack}`)
  process.exit(1)
})

let left = ask.torrents.length
for (const torrent of ask.torrents) {
  client.add(fs.readFileSync(torrent), { path: ask.dir }, (it) => {
    console.log(`added ${it.name} at port ${client.torrentPort}`)
    it.on('warning', (warning) => console.log(`warning: ${warning.message}`))
    it.on('noPeers', (source) => console.log(`no peers by ${source}`))
    it.on('wire', (wire, addr) => console.log(`wire ${addr} ${wire.type}`))
    const done = () => {
      console.log(`done ${it.name}`)
      left -= 1
      if (left === 0) console.log('all is here')
    }
    it.done ? done() : it.on('done', done)
  })
}
