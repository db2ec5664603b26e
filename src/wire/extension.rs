//! placeholder
/// x
#[derive(Default)]
pub struct Handshake {
    /// x
    pub client: Option<String>,
    /// x
    pub reqq: Option<u32>,
    /// x
    pub upload_only: bool,
    /// x
    pub port: Option<u16>,
}
impl Handshake {
    /// x
    pub fn ours(_port: u16, _upload_only: bool) -> Self {
        Self::default()
    }
    /// x
    pub fn encode(&self) -> Vec<u8> {
        b"de".to_vec()
    }
    /// x
    pub fn decode(_: &[u8]) -> Result<Self, String> {
        Ok(Self::default())
    }
}
