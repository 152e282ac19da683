//! smoltcp's two sockets on its loopback device: large buffers, checksums in software, packets of a given size.

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Loopback, Medium};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

const BUFFER: usize = 1 << 20;
const PORT: u16 = 80;

/// The loopback device with an MTU of choice.
struct Limited {
    device: Loopback,
    mtu: usize,
}

impl Device for Limited {
    type RxToken<'a> = <Loopback as Device>::RxToken<'a>;
    type TxToken<'a> = <Loopback as Device>::TxToken<'a>;

    fn receive(&mut self, now: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        self.device.receive(now)
    }

    fn transmit(&mut self, now: Instant) -> Option<Self::TxToken<'_>> {
        self.device.transmit(now)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = self.device.capabilities();
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }
}

pub struct Peer {
    device: Limited,
    interface: Interface,
    sockets: SocketSet<'static>,
    client: SocketHandle,
    server: SocketHandle,
    chunk: Vec<u8>,
    room: Vec<u8>,
    begin: std::time::Instant,
}

impl Peer {
    pub fn new(mtu: usize) -> Peer {
        let mut device = Limited { device: Loopback::new(Medium::Ip), mtu };
        let mut interface = Interface::new(Config::new(HardwareAddress::Ip), &mut device, Instant::ZERO);
        let address = IpAddress::v4(127, 0, 0, 1);
        interface.update_ip_addrs(|all| all.push(IpCidr::new(address, 8)).expect("room for an address"));
        let mut sockets = SocketSet::new(vec![]);
        let [client, server] = [(); 2].map(|()| {
            let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER]);
            sockets.add(tcp::Socket::new(buffer(), buffer()))
        });
        sockets.get_mut::<tcp::Socket>(server).listen(PORT).expect("a port");
        let connecting = sockets.get_mut::<tcp::Socket>(client);
        connecting.connect(interface.context(), (address, PORT), 50_000).expect("a connection");
        let (chunk, room) = (vec![0; 1 << 18], vec![0; 1 << 20]);
        let begin = std::time::Instant::now();
        Peer { device, interface, sockets, client, server, chunk, room, begin }
    }

    /// Sends and reads `bytes`.
    pub fn transfer(&mut self, bytes: usize) {
        let (mut written, mut read) = (0, 0);
        while read < bytes {
            let now = Instant::from_micros(self.begin.elapsed().as_micros() as i64);
            self.interface.poll(now, &mut self.device, &mut self.sockets);
            let client = self.sockets.get_mut::<tcp::Socket>(self.client);
            while written < bytes && client.can_send() {
                let piece = &self.chunk[..self.chunk.len().min(bytes - written)];
                written += client.send_slice(piece).expect("room");
            }
            let server = self.sockets.get_mut::<tcp::Socket>(self.server);
            while server.can_recv() {
                read += server.recv_slice(&mut self.room).expect("data");
            }
        }
    }
}
