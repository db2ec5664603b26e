"""A libtorrent session that a test drives: one JSON object a line in, one answer a line out."""

import json
import os
import sys

import libtorrent as lt

session = None
nodes = []
torrents = []


def open_session(ask):
    """Listens on ask["ip"] (IPv6 in brackets) and ask["port"], TCP, not encrypted unless ask says so.

    It looks for nobody by itself but at trackers, unless ask["settings"] says so, which has the last word.
    """
    global session
    settings = {
        "listen_interfaces": "%s:%d" % (ask["ip"], ask["port"]),
        "outgoing_interfaces": ask["ip"].strip("[]"),
        "alert_mask": lt.alert.category_t.upload_notification, "alert_queue_size": 1000000,
        "allow_multiple_connections_per_ip": True,
        "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
        "enable_incoming_utp": False, "enable_outgoing_utp": False,
        "in_enc_policy": ask.get("encryption", 2), "out_enc_policy": ask.get("encryption", 2),
        # Forced means RC4 to the end, not only for the handshake.
        "allowed_enc_level": 2 if ask.get("encryption") == 0 else 3,
        # Where its first, plain call is refused, it waits no minute for the next.
        "min_reconnect_time": 1 if ask.get("encryption", 2) < 2 else 60,
        "connection_speed": 100, "connections_limit": 500, "unchoke_slots_limit": 100,
    }
    settings.update(ask.get("settings", {}))
    session = lt.session(settings)


def add(ask):
    if ask["torrent"].startswith("magnet:"):
        params = lt.parse_magnet_uri(ask["torrent"])
    else:
        params = lt.add_torrent_params()
        params.ti = lt.torrent_info(ask["torrent"])
    params.save_path = ask["dir"]
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    if not ask.get("pex"):
        params.flags |= lt.torrent_flags.disable_pex
    params.upload_limit = ask.get("up", 0)
    params.download_limit = ask.get("down", 0)
    torrents.append(session.add_torrent(params))


def connect(ask):
    """Connects the last torrent to a peer."""
    torrents[-1].connect_peer(parts(ask["to"]))


def parts(addr):
    """An address (IPv6 in brackets) and its port."""
    ip, port = addr.rsplit(":", 1)
    return ip.strip("[]"), int(port)


def stat(ask):
    rows = []
    for torrent in torrents:
        s = torrent.status()
        error = s.errc.message() if s.errc.value() else ""
        rows.append({"done": s.is_seeding, "checking": "check" in str(s.state), "up": s.total_payload_upload,
                     "down": s.total_payload_download, "peers": s.num_peers, "error": error})
    return {"torrents": rows}


def sent(ask):
    """The pieces of which a block has been sent since this was asked last."""
    blocks = [a for a in session.pop_alerts() if isinstance(a, lt.block_uploaded_alert)]
    return {"pieces": sorted({b.piece_index for b in blocks})}


def dht(ask):
    """Starts a DHT: one node on each of the addresses, each introduced to half of the others."""
    for addr in ask["nodes"]:
        settings = {
            "listen_interfaces": addr, "outgoing_interfaces": parts(addr)[0],
            "enable_dht": True, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
            "dht_bootstrap_nodes": "", "dht_restrict_routing_ips": False,
            "dht_restrict_search_ips": False, "dht_ignore_dark_internet": False, "dht_prefer_verified_node_ids": False,
            "dht_enforce_node_id": False, "alert_mask": 0,
        }
        nodes.append(lt.session(settings))
    for n, node in enumerate(nodes):
        others = ask["nodes"][n + 1:] + ask["nodes"][:n]
        introduce(node, others[:len(others) // 2])


def introduce(node, others):
    for addr in others:
        node.add_dht_node(parts(addr))


def dht_meet(ask):
    """Introduces the session to nodes."""
    introduce(session, ask["nodes"])


def dht_counts(ask):
    return {"counts": [node.status().dht_nodes for node in nodes]}


OPS = {"dht": dht, "dht_counts": dht_counts, "dht_meet": dht_meet, "open": open_session, "add": add, "connect": connect, "stat": stat, "sent": sent}

for line in sys.stdin:
    ask = json.loads(line)
    try:
        answer = OPS[ask["op"]](ask) or {}
    except Exception as e:
        answer = {"error": repr(e)}
    print(json.dumps(answer), flush=True)
os._exit(0)
